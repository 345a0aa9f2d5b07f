"""AWS Secrets Manager. An ARN says its region; a name is looked for in the one of the options or the environment."""

from __future__ import annotations

import re
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import Refused
from pipeline.places.aws_client import client, error_code, why
from pipeline.places.aws_settings import AwsSettings

# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_iam-permissions.html, and the names that a secret can have.
_ARN: Final = re.compile(r"arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+")
_NAME: Final = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")

_DENIED: Final = "access is denied; allow these credentials secretsmanager:GetSecretValue on it"
_SENTENCES: Final = {
    "ResourceNotFoundException": "there is no such secret in {region}, or it has no value yet; correct its name, or give its ARN",
    "InvalidRequestException": "it is marked for deletion; restore it, or give another",
    "DecryptionFailure": "it cannot be decrypted; allow these credentials kms:Decrypt on its key, or enable the key",
    "AccessDeniedException": _DENIED,
    "AccessDenied": _DENIED,
}
_OTHERWISE: Final = "AWS Secrets Manager does not give it ({code}); wait and try again, and look at its name and the credentials"


def look_up_in_aws(name: str, region: str | None) -> str:
    """The text of the current version. Raises `Refused`."""
    arn = _ARN.fullmatch(name)
    if arn is None and _NAME.fullmatch(name) is None:
        raise Refused(["aws-secretsmanager: takes the ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, or its name"])
    try:
        service = client("secretsmanager", AwsSettings(region=arn[1] if arn else region))
        answer = service.get_secret_value(SecretId=name)
    except (ClientError, BotoCoreError, ValueError) as error:
        code = error_code(error) or type(error).__name__
        region_words = arn[1] if arn else region or "the region of the environment"
        sentence = why(error) or _SENTENCES.get(code, _OTHERWISE)
        raise Refused([f"the secret {name}: {sentence.format(region=region_words, code=code)}"]) from None
    text = answer.get("SecretString")
    if not text:
        raise Refused([f"the secret {name} holds no text; put the database's URL into it, or JSON as RDS has it"])
    return str(text)
