"""Passwords: which are taken, and what is kept of them (security.md section 6)."""

from __future__ import annotations

import re
import threading
import unicodedata
from itertools import pairwise
from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from wardlight.errors import WardlightError

#: Fewest and most characters.
SHORTEST: Final = 12
LONGEST: Final = 128
SALT_BYTES: Final = 16

# RFC 9106: Argon2id, 32 MiB, three passes, one lane: some 80 ms.
_MEMORY_KIB: Final = 32 * 1024
_PASSES: Final = 3
# Each takes 32 MiB, so few run at once; who waits longer than this is told to come again.
_AT_ONCE: Final = threading.BoundedSemaphore(3)
_WAIT_S: Final = 5.0

# What long passwords that people choose without thinking are made of, after published lists of those that leaked.
_WORDS: Final = frozenset(
    """
password passwort motdepasse contrasena parola wachtwoord geheim secret welcome willkommen bienvenue letmein
qwerty qwertz azerty asdfgh asdf zxcvbn zxcv yxcvbn qazwsx wsxedc edcrfv qwer wasd iloveyou ichliebedich
trustno sunshine princess dragon monkey football baseball superman batman pokemon master admin administrator
root user login access changeme default test temp guest hello hallo hospital krankenhaus klinik clinic doctor
radiology radiologie pacs dicom xray wardlight medical medizin spring summer autumn winter fruehling sommer
herbst january february march april may june july august september october november december monday friday
berlin london paris the my is me you new old now one two three abcdefghijkl abcdef abcd abc aaa xxx
""".split()  # noqa: SIM905 - as a list of literals it could not be read
)
_LEET: Final = str.maketrans("0134578@$!€", "oieastbasie")


def normal(password: str) -> str:
    """The form in which a password is hashed: NFC, so that it is the same from each keyboard (RFC 8265)."""
    return unicodedata.normalize("NFC", password)


def normal_name(login: str) -> str:
    """The form in which sign-in names are compared: however it is typed, it is the same name (RFC 8265 section 3.3)."""
    whole = login.encode("utf-8", "replace").decode().replace("\0", "?")  # What no database would take.
    return unicodedata.normalize("NFC", whole.strip().casefold())[:200]


def require_good(password: str, login: str) -> None:
    """Raise `bad-request`, reason `password`, where a password is too short or is one that is guessed first."""
    if not SHORTEST <= len(normal(password)) <= LONGEST:
        raise WardlightError("bad-request", f"a password has {SHORTEST} to {LONGEST} characters", "password")
    if _common(password, login):
        raise WardlightError("bad-request", "this password is among those that are tried first", "password")


def derive(password: str, salt: bytes) -> bytes:
    """The 32 bytes that are kept. At most three are made at once; raises `unavailable` where too many wait."""
    if not _AT_ONCE.acquire(timeout=_WAIT_S):
        raise WardlightError("unavailable", reason="sign-in")
    try:
        kdf = Argon2id(salt=salt, length=32, iterations=_PASSES, lanes=1, memory_cost=_MEMORY_KIB)
        return kdf.derive(normal(password).encode("utf-8", "surrogatepass"))
    finally:
        _AT_ONCE.release()


def _common(password: str, login: str) -> bool:
    text = normal(password).casefold()
    if len(set(text)) < 5:
        return True
    # Who they are is no secret: what is left without it must be one.
    rest = text
    for name in re.split(r"\W+", login.casefold()):
        rest = rest.replace(name, "") if len(name) > 3 else rest
    for spelt in (rest, rest.translate(_LEET)):
        letters = re.sub(r"[\W\d_]+", "", spelt)
        if _made_of_words(letters) if len(letters) > 3 else not _many_signs(text):
            return True
    return _is_a_run(text)


def _many_signs(text: str) -> bool:
    """Whether it has so many signs that it need not have letters: digits alone do not count."""
    return len({sign for sign in text if not sign.isalnum()}) > 3


def _made_of_words(letters: str) -> bool:
    """Whether it is one or more of the common words and nothing else."""
    reached = [True]
    for end in range(1, len(letters) + 1):
        reached.append(
            any(
                len(word) <= end and reached[end - len(word)] and letters.endswith(word, 0, end)
                for word in _WORDS
            )
        )
    return reached[-1]


def _is_a_run(text: str) -> bool:
    """Whether it goes on by one step, as 123456789012 does, or repeats a short piece."""
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return len(steps - {-9, 9}) == 1 or any(
        text == (text[:length] * len(text))[: len(text)] for length in range(1, 5)
    )
