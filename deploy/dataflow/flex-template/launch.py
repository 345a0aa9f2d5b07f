"""What the launcher of the flex template runs: `ddb2pg migrate` with the template's parameters. It does not wait for the job."""

import sys

from pipeline.cli import main

if __name__ == "__main__":
    sys.exit(main(["migrate", *sys.argv[1:]]))
