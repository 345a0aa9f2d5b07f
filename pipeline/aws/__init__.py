"""AWS, as every room sees it that speaks to it: settings, the process's clients (`client.py`), sentences for what fails."""

from pipeline.aws.settings import AwsSettings

__all__ = ["AwsSettings"]
