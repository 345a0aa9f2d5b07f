"""Makes `strategies` (tests/) and the modules beside this file importable from every folder below, without making the tests a package."""

import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parents[1]):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
