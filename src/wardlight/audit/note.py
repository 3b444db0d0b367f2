"""Signed notes of C2SP: checkpoints, their log signatures (type 0x01) and cosignatures (type 0x04). Pure.

c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature; audit.md section 3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: Kinds of keys: a log's, and a witness's.
LOG: Final = 1
WITNESS: Final = 4
#: Most signature lines of a note.
MAX_SIGNATURES: Final = 16

_DASH: Final = "\N{EM DASH}"
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_NAME: Final = re.compile(r"[^\s+]{1,255}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")
_SIGNATURE_BYTES: Final = {LOG: 64, WITNESS: 72}


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key: whose it is, and what it signs (kind LOG or WITNESS)."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `name+keyid+base64(kind ‖ public key)`. Raises ValueError for any other, and for a wrong key id."""
        name, key_id, encoded = (*text.split("+", 2), "", "")[:3]
        data = _decoded(encoded)
        if not _NAME.fullmatch(name) or not _KEY_ID.fullmatch(key_id):
            raise ValueError("a verifier key is name+keyid+base64")
        if len(data) != 33 or data[0] not in (LOG, WITNESS):
            raise ValueError("the verifier key is of an unknown kind")
        key = cls(name, data[0], data[1:])
        if key.key_id.hex() != key_id:
            raise ValueError("the verifier key's id does not fit it")
        return key

    @classmethod
    def of(cls, name: str, seed: bytes, kind: int = LOG) -> VerifierKey:
        """The public side of an Ed25519 seed of 32 bytes."""
        return cls(name, kind, Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())

    @property
    def key_id(self) -> bytes:
        """The four bytes by which signatures name the key."""
        head = f"{self.name}\n".encode()
        return hashlib.sha256(head + bytes((self.kind,)) + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """As `parse` reads it: what is handed out, the vkey."""
        encoded = base64.b64encode(bytes((self.kind,)) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def verify(self, body: str, signature: bytes) -> bool:
        """Whether the bytes after a signature line's key id are this key's over the note's text."""
        if len(signature) != _SIGNATURE_BYTES[self.kind]:
            return False
        message = body.encode()
        if self.kind == WITNESS:
            message = _cosigned(body, int.from_bytes(signature[:8], "big"))
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature[-64:], message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the name, the key's id, and what follows it."""

    name: str
    key_id: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A signed checkpoint: the head of a log."""

    origin: str
    size: int
    root: bytes
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, text: str) -> Note:
        """Read a checkpoint without extension lines. Raises ValueError for anything else."""
        head, blank, tail = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or len(lines) != 3 or not tail.endswith("\n"):
            raise ValueError("not a signed checkpoint")
        origin, size, encoded = lines
        if not _NAME.fullmatch(origin) or not _NUMBER.fullmatch(size):
            raise ValueError("a checkpoint begins with origin and size")
        root = _decoded(encoded)
        rows = tail[:-1].split("\n")
        if len(root) != 32 or len(rows) > MAX_SIGNATURES:
            raise ValueError("a checkpoint has a root of 32 bytes and at most 16 signatures")
        return cls(origin, int(size), root, tuple(parse_signature(row) for row in rows))

    @property
    def body(self) -> str:
        """What is signed."""
        return body(self.origin, self.size, self.root)

    def signed_by(self, key: VerifierKey) -> bool | None:
        """Whether this key's signatures are good; None where there is none of it."""
        found = [
            key.verify(self.body, one.data)
            for one in self.signatures
            if one.name == key.name and one.key_id == key.key_id
        ]
        return all(found) if found else None


def body(origin: str, size: int, root: bytes) -> str:
    """The text of a checkpoint that is signed, up to and with the LF before the blank line."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def sign(name: str, seed: bytes, body: str) -> str:
    """A log's signature line, with its LF. Ed25519 is deterministic: the same text gives the same line."""
    key = VerifierKey.of(name, seed)
    return _line(key, Ed25519PrivateKey.from_private_bytes(seed).sign(body.encode()))


def cosign(name: str, seed: bytes, body: str, time: int) -> str:
    """A witness's signature line, with its LF. time: seconds since 1970-01-01 UTC."""
    key = VerifierKey.of(name, seed, WITNESS)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(_cosigned(body, time))
    return _line(key, time.to_bytes(8, "big") + signature)


def parse_signature(line: str) -> Signature:
    """Read a signature line without its LF. Raises ValueError."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH or not _NAME.fullmatch(parts[1]):
        raise ValueError("not a signature line")
    data = _decoded(parts[2])
    if len(data) < 5:
        raise ValueError("the signature is too short")
    return Signature(parts[1], data[:4], data[4:])


def _line(key: VerifierKey, data: bytes) -> str:
    return f"{_DASH} {key.name} {base64.b64encode(key.key_id + data).decode()}\n"


def _cosigned(body: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{body}".encode()


def _decoded(text: str) -> bytes:
    """Base64 in its one canonical form."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise ValueError("base64 in another than its canonical form")
    return data
