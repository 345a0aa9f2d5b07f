"""References to secrets, and looking them up where they are used: a reference travels with a job, what it stands for does not.

    references.py    env:NAME, file:PATH, and the services below
    aws.py           aws-secretsmanager:ARN_OR_NAME
    gcp.py           gcp-secretmanager:projects/P/secrets/S[/versions/V]

What was looked up goes to who asked and nowhere else: no message holds it, nor anything that a service answered.
"""

from pipeline.secrets.references import KINDS, is_of_a_service, look_up

__all__ = ["KINDS", "is_of_a_service", "look_up"]
