"""Google's Secret Manager for tests: its REST method `:access` on a free port of 127.0.0.1, for who signed as the service account.

https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

import google.auth.jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.json_server import JsonServer

ACCOUNT: Final = "loader@project-1.iam.gserviceaccount.com"


class GoogleSecrets(JsonServer):
    """`versions` maps the full name of a version to its text, or to an HTTP status and Google's word for it."""

    def __init__(self, folder: Path) -> None:
        self.versions: dict[str, str | tuple[int, str]] = {}
        self.asked: list[str] = []
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._public_key = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        private_key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"
        self.credentials = folder / "service_account.json"
        account = {
            "type": "service_account",
            "client_email": ACCOUNT,
            "private_key_id": "1",
            "private_key": private_key,
            "token_uri": f"{self.url}/token",
            "project_id": "project-1",
        }
        self.credentials.write_text(json.dumps(account))

    @property
    def environment(self) -> dict[str, str]:
        """What Google's client, and gcloud, read."""
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(self.credentials), "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{self.url}/"}

    def answer(self, path: str, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """See `JsonServer`."""
        del body
        version = path.partition("?")[0].removeprefix("/v1/").removesuffix(":access")
        self.asked.append(version)
        try:
            # A service account signs for itself: there is no token to ask for.
            claims = google.auth.jwt.decode(authorization.removeprefix("Bearer "), certs=self._public_key, verify=True)
        except ValueError:
            return _error(401, "UNAUTHENTICATED")
        if claims["iss"] != ACCOUNT:
            return _error(401, "UNAUTHENTICATED")
        found = self.versions.get(version, (404, "NOT_FOUND"))
        if isinstance(found, tuple):
            return _error(*found)
        return 200, {"name": version, "payload": {"data": base64.b64encode(found.encode()).decode()}}


def _error(status: int, word: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"code": status, "message": "the words of a server", "status": word}}
