"""The people and calls that the three tables speak of, each by its number: cheap, and the same in every data file.

Session 17 of seed 1 has one id, appointment, provider, patient, outcome and start, whoever asks: the sessions table writes it,
notes and audit events refer to it.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from random import Random
from struct import Struct
from typing import NamedTuple

PROVIDERS = 300
PATIENTS = 4_000

# 2024-02-01 .. 2026-10-28, so that everything a call leads to lies in 2024 to late 2026.
_FIRST_START_MS = 1_706_745_600_000
_LAST_START_MS = 1_793_145_600_000

# Numbers for provider, patient, status, duration and start, out of the bytes of a digest.
_SESSION_FACTS = Struct(">HHHHQ").unpack_from

# Of 16 sessions.
_STATUSES = ("COMPLETED",) * 12 + ("FAILED",) * 2 + ("ACTIVE", "INITIATED")


class Session(NamedTuple):
    """What other tables may know of a call. Times in milliseconds since the epoch."""

    id: str
    appointment_id: str
    provider_id: str
    patient_id: str
    status: str
    start_ms: int
    duration_ms: int


def to_uuid(digits: str) -> str:
    """32 hexadecimal digits as a UUID of version 4."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"


def random_uuid(random: Random) -> str:
    """A UUID of version 4 from `random`."""
    return to_uuid(f"{random.getrandbits(128):032x}")


class World:
    """All that follows from a seed and the number of sessions."""

    def __init__(self, seed: int, sessions: int) -> None:
        self.seed = seed
        self.sessions = max(sessions, 1)
        self._key = blake2b(str(seed).encode(), digest_size=32).digest()
        random = Random(self._key)
        self._providers = [random_uuid(random) for _ in range(PROVIDERS)]
        self._patients = [random_uuid(random) for _ in range(PATIENTS)]

    def session(self, number: int) -> Session:
        """The call with this number."""
        digest = blake2b(number.to_bytes(8, "big"), digest_size=48, key=self._key).digest()
        digits = digest[:32].hex()
        provider, patient, status, duration, start = _SESSION_FACTS(digest, 32)
        return Session(
            to_uuid(digits),
            to_uuid(digits[32:]),
            self._providers[provider % PROVIDERS],
            self._patients[patient % PATIENTS],
            _STATUSES[status % 16],
            _FIRST_START_MS + start % (_LAST_START_MS - _FIRST_START_MS),
            240_000 + duration * 47,
        )

    def completed_session(self, number: int) -> Session:
        """The call with this number, or the next one that was completed: only those have notes."""
        session = self.session(number)
        for step in range(1, 100):
            if session.status == "COMPLETED":
                break
            session = self.session((number + step) % self.sessions)
        return session

    def note_id(self, number: int) -> str:
        """The id of the note with this number; the note of a completed session has the session's number."""
        return to_uuid(blake2b(b"note %d" % number, digest_size=16, key=self._key).hexdigest())


@lru_cache(maxsize=4)
def world(seed: int, sessions: int) -> World:
    """One `World` per process and seed."""
    return World(seed, sessions)
