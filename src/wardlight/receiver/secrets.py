"""The receiver's secrets on disk: files of mode 0400 outside the data folder (security.md section 5, tier 3)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from wardlight.audit.note import WITNESS, VerifierKey
from wardlight.errors import WardlightError
from wardlight.keys.files import create_private, private_folder, read_private, replace_private

_KEY_BYTES: Final = 32
_TOKEN_BYTES: Final = 4096
#: Name of the file with the store-only token; `wardlight admin receiver create` writes it there.
TOKEN_FILE: Final = "token"  # noqa: S105 - the name of a file
#: Name of the file with the receiver's id and private key, once it has enrolled.
CREDENTIAL_FILE: Final = "credential.json"
#: Names of the files with the seed of the key by which the receiver witnesses, with its public side, and with the
#: public key of the log that it follows.
WITNESS_FILE: Final = "witness.key"
WITNESS_VKEY_FILE: Final = "witness.vkey"
LOG_VKEY_FILE: Final = "audit-log.vkey"
#: Names of the keys of `ReceiverSecrets`, each in a file of its own.
KEYS: Final = ("hospital", "local", "quarantine", "vault")
#: Name of the folder of the spool's daily keys.
SPOOL_KEYS: Final = "spool-keys"


@dataclass(frozen=True, slots=True)
class ReceiverSecrets:
    """What the receiver alone knows; none of it ever goes to the platform.

    hospital: the secret that UIDs, pseudonyms and date offsets derive from: whoever loses it starts new pseudonyms.
    local: keys tokens and audit references inside the receiver's own database. quarantine: encrypts kind-5 objects.
    vault: seals the rows of the vault.
    """

    hospital: bytes = field(repr=False)
    local: bytes = field(repr=False)
    quarantine: bytes = field(repr=False)
    vault: bytes = field(repr=False)

    def study_token(self, study_uid: str) -> bytes:
        """16 bytes by which the receiver's database knows a study, without its UID."""
        return _study_token(self.local, study_uid)


@lru_cache(maxsize=256)  # the objects of a study come one after the other
def _study_token(key: bytes, study_uid: str) -> bytes:
    return hmac.digest(key, b"wardlight/receiver/study/v1\0" + study_uid.encode(), hashlib.sha256)[:16]


def load(directory: Path) -> ReceiverSecrets:
    """Read the receiver's keys, making each that is not there yet. Raises WardlightError("settings-unsafe").

    Safe to call from several processes at once: whoever comes first makes the key, the others read it.
    """
    private_folder(directory)
    return ReceiverSecrets(*(_key(directory / f"{name}.key") for name in KEYS))


def credential(directory: Path) -> str | None:
    """What `save_credential` put in place; None where nothing is. Raises WardlightError("settings-unsafe")."""
    return _private_line(directory / CREDENTIAL_FILE) or None


def save_credential(directory: Path, text: str) -> None:
    """Put a receiver's id and private key in the place of those before, in a file of mode 0400."""
    private_folder(directory)
    replace_private(directory / CREDENTIAL_FILE, text.encode("ascii"), mode=0o400)


def token(directory: Path) -> str:
    """The store-only token of the platform. Raises WardlightError("unauthenticated") if there is none.

    Read anew for each request, since an administrator may put a new one in place while the receiver runs.
    """
    text = _private_line(directory / TOKEN_FILE)
    if not text or any(character.isspace() for character in text):
        raise WardlightError("unauthenticated", "the receiver has no credential yet", reason="no-credential")
    return text


def save_token(directory: Path, text: str) -> None:
    """Put the token in place of the one before, in a file of mode 0400."""
    private_folder(directory)
    replace_private(directory / TOKEN_FILE, text.encode("ascii"), mode=0o400)


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """By what the receiver cosigns heads of the audit log: its name among witnesses, and the Ed25519 seed."""

    name: str
    seed: bytes = field(repr=False)


def witness_key(directory: Path) -> WitnessKey | None:
    """The receiver's witness key, None if it has none yet. Read anew each time, since it may be put in place meanwhile.

    Raises WardlightError("settings-unsafe") where others may read it, or the two files do not belong together.
    """
    try:
        seed = read_private(directory / WITNESS_FILE, _KEY_BYTES)
        key = VerifierKey.parse(_line(directory / WITNESS_VKEY_FILE))
    except FileNotFoundError:
        return None
    except ValueError:
        raise WardlightError("settings-unsafe", "witness.vkey is not a verifier key") from None
    if key != VerifierKey.of(key.name, seed, WITNESS):
        raise WardlightError("settings-unsafe", "witness.vkey is not of witness.key")
    return WitnessKey(key.name, seed)


def log_key(directory: Path) -> VerifierKey | None:
    """The key of the platform's log, where it was given out when the receiver was made.

    Raises WardlightError("settings-unsafe") where the file holds something else.
    """
    try:
        return VerifierKey.parse(_line(directory / LOG_VKEY_FILE))
    except FileNotFoundError:
        return None
    except ValueError:
        raise WardlightError("settings-unsafe", "audit-log.vkey is not a verifier key") from None


def new_witness_seed() -> tuple[bytes, bytes]:
    """A fresh Ed25519 seed and its public key."""
    seed = secrets.token_bytes(_KEY_BYTES)
    return seed, VerifierKey.of("any", seed, WITNESS).public


def save_witness_key(directory: Path, seed: bytes, vkey: str, log_vkey: str) -> None:
    """Put a witness key in the place of the one before. log_vkey: of the log to be followed, "" if not known yet."""
    private_folder(directory)
    replace_private(directory / WITNESS_FILE, seed, mode=0o400)
    replace_private(directory / WITNESS_VKEY_FILE, vkey.encode() + b"\n")
    if log_vkey and not (directory / LOG_VKEY_FILE).exists():
        replace_private(directory / LOG_VKEY_FILE, log_vkey.encode() + b"\n")


def _private_line(path: Path) -> str:
    """The text of a file that nobody else may read, "" where there is none."""
    try:
        if path.stat().st_mode & 0o077:
            raise WardlightError("settings-unsafe", "the receiver's credential can be read by other users")
        return path.read_bytes()[:_TOKEN_BYTES].decode("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _line(path: Path) -> str:
    try:
        return path.read_bytes()[:_TOKEN_BYTES].decode("ascii").strip()
    except UnicodeDecodeError:
        return ""


def _key(path: Path) -> bytes:
    if not path.exists():
        create_private(path, secrets.token_bytes(_KEY_BYTES), mode=0o400)
    return read_private(path, _KEY_BYTES)
