"""What workers have imported when they are forked. The process that they are forked from imports this, and nobody else: it silences it."""

import gc

from pipeline.engines.fork_server import silence

silence()
gc.disable()  # what is imported stays; each worker looks for garbage of its own

from apache_beam.runners.worker import sdk_worker_main  # noqa: E402, F401

import pipeline.cli  # noqa: E402 - a process that is forked imports the program again, which is this where it is called ddb2pg
import pipeline.job.graph  # noqa: E402, F401
