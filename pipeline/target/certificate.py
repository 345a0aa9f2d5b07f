"""Why a server's certificate is not accepted, which libpq keeps to itself: found by a handshake alone, once a connection has failed."""

from __future__ import annotations

import socket
import ssl
from enum import Enum
from pathlib import Path
from typing import Final

# https://www.postgresql.org/docs/current/protocol-message-formats.html: SSLRequest, 8 bytes, code 80877103.
_SSL_REQUEST: Final = (8).to_bytes(4) + (80877103).to_bytes(4)
_PATIENCE: Final = 10.0  # seconds


class CertificateFault(Enum):
    """What is wrong with it."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    UNKNOWN_CA = "unknown CA"
    OTHER = "other"


# https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_FAULTS: Final = {
    9: CertificateFault.NOT_YET_VALID,
    10: CertificateFault.EXPIRED,
    18: CertificateFault.UNKNOWN_CA,
    19: CertificateFault.UNKNOWN_CA,
    20: CertificateFault.UNKNOWN_CA,
    21: CertificateFault.UNKNOWN_CA,
}


def find_certificate_fault(address: str, port: int, root_file: str) -> CertificateFault:
    """Of the server at an address; the root file holds the CA's certificate, or is `system`."""
    try:
        context = ssl.create_default_context(cafile=None if root_file == "system" else str(Path(root_file).expanduser()))
        context.check_hostname = False
        with socket.create_connection((address, port), timeout=_PATIENCE) as connection:
            connection.sendall(_SSL_REQUEST)
            connection.recv(1)
            context.wrap_socket(connection).close()
    except ssl.SSLCertVerificationError as error:
        return _FAULTS.get(error.verify_code, CertificateFault.OTHER)
    except OSError:
        pass
    return CertificateFault.OTHER
