"""What workers have imported when they are forked. The process that they are forked from imports this, and nobody else: it silences it."""

from pipeline.fork_server import silence

silence()

from apache_beam.runners.worker import sdk_worker_main  # noqa: E402, F401

import pipeline.job  # noqa: E402, F401
