"""The KMS port, and the two adapters that need no service: a key file and a passphrase (security.md §2).

The root key wraps the institutions' epoch keys and nothing else. `KeyringKms` keeps it in a file of mode 0600 in a
folder of its own: whoever has the whole disk then has everything, which `settings.refuse_unsafe` makes the operator
accept in words. `PassphraseKms` keeps only a wrapped root on the disk.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from wardlight.errors import WardlightError
from wardlight.keys.files import create_private, private_folder, read_private
from wardlight.keys.labels import Label, bind

ROOT_BYTES: Final = 32
_PASSPHRASE_MAGIC: Final = b"WLRP\x01"
# security.md §6: 32 MiB, three passes, one lane. 85 ms, once at start.
_ARGON2_MEMORY_KIB: Final = 32 * 1024
_ARGON2_PASSES: Final = 3


class Kms(Protocol):
    """Wraps and unwraps a key of 32 bytes under a root that never leaves the adapter.

    `name` names the wrapping key (one per institution, where the service has many); it is bound to the blob, as `aad`
    is. `unwrap` raises `WardlightError("wrong-key")` when anything does not fit.
    """

    def wrap(self, name: str, aad: bytes, key: bytes) -> bytes:
        """Seal `key`; the blob is opaque to the caller."""
        ...

    def unwrap(self, name: str, aad: bytes, blob: bytes) -> bytes:
        """Open what `wrap` made with the same name and associated data."""
        ...

    def retire(self, name: str, before_version: int) -> None:
        """Make blobs of older versions of the wrapping key unreadable for good, where the service can.

        A version is an epoch: each epoch key is wrapped by its own.
        """
        ...


class _RootKms:
    """AES-256-GCM under a root held in this process: `nonce 12 | sealed 48`."""

    def __init__(self, root: bytes) -> None:
        self._aead = AESGCM(root)

    def wrap(self, name: str, aad: bytes, key: bytes) -> bytes:
        """See `Kms.wrap`. 60 bytes for a key of 32."""
        nonce = os.urandom(12)
        return nonce + self._aead.encrypt(nonce, key, _associated(name, aad))

    def unwrap(self, name: str, aad: bytes, blob: bytes) -> bytes:
        """See `Kms.unwrap`."""
        try:
            return self._aead.decrypt(blob[:12], blob[12:], _associated(name, aad))
        except (InvalidTag, ValueError):  # ValueError: shorter than nonce and tag
            raise WardlightError("wrong-key", "a key does not open under this root") from None

    def retire(self, name: str, before_version: int) -> None:
        """Nothing: the root has no versions. What ends a key here is that its keyslot is overwritten."""


class KeyringKms(_RootKms):
    """The root lies in a plain file of mode 0600, made at first use."""

    def __init__(self, file: Path) -> None:
        """Read the root, or make it where there is no file yet.

        Raises `WardlightError("settings-unsafe")` when others may read the file or it does not hold 32 bytes.
        """
        private_folder(file.parent)
        if not file.exists():
            create_private(file, os.urandom(ROOT_BYTES))
        super().__init__(read_private(file, ROOT_BYTES))


class PassphraseKms(_RootKms):
    """The root lies wrapped under a passphrase: `WLRP 01 | salt 16 | nonce 12 | AES-256-GCM(root)`, Argon2id."""

    def __init__(self, file: Path, passphrase: str) -> None:
        """Open the root, or make it where there is no file yet. Takes about 0.1 s.

        Raises `WardlightError("wrong-key")` for another passphrase.
        """
        private_folder(file.parent)
        if not file.exists():
            salt, nonce = os.urandom(16), os.urandom(12)
            head = _PASSPHRASE_MAGIC + salt
            sealed = AESGCM(_stretch(passphrase, salt)).encrypt(
                nonce, os.urandom(ROOT_BYTES), bind(Label.ROOT, head)
            )
            create_private(file, head + nonce + sealed)
        blob = read_private(file, len(_PASSPHRASE_MAGIC) + 16 + 12 + ROOT_BYTES + 16)
        head, nonce, sealed = blob[:21], blob[21:33], blob[33:]
        if not head.startswith(_PASSPHRASE_MAGIC):
            raise WardlightError("wrong-key", "the root file is of another kind")
        try:
            root = AESGCM(_stretch(passphrase, head[5:])).decrypt(nonce, sealed, bind(Label.ROOT, head))
        except InvalidTag:
            raise WardlightError("wrong-key", "the passphrase does not open the root") from None
        super().__init__(root)


def _associated(name: str, aad: bytes) -> bytes:
    encoded = name.encode()
    return len(encoded).to_bytes(2, "big") + encoded + aad


def _stretch(passphrase: str, salt: bytes) -> bytes:
    kdf = Argon2id(salt=salt, length=32, iterations=_ARGON2_PASSES, lanes=1, memory_cost=_ARGON2_MEMORY_KIB)
    return kdf.derive(passphrase.encode())
