"""Where a job runs (this machine, Flink, Dataflow), and how a run ends."""
