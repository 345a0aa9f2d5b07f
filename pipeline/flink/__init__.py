"""Jobs on a Flink cluster: what the cluster says of itself, the options that a job gets from that, and what to say of a job that goes on.

    cluster.py      the cluster's REST API
    options.py      Beam's options, where none were given
    submission.py   what a command checks, and makes ready, before its job goes there

https://nightlies.apache.org/flink/flink-docs-release-1.19/docs/ops/rest_api/
"""
