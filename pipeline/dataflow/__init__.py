"""Jobs on Google Cloud Dataflow: what they need, what must not go there, and what to say of one that goes on.

    options.py      Beam's options where none were given, and those that cannot be
    connections.py  how many connections a job may open
    submission.py   what a command checks, and makes ready, before its job goes there
    job.py          the job once it is there

https://cloud.google.com/dataflow/docs/reference/pipeline-options
"""
