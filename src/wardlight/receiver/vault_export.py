"""The vault in a file that only the hospital's recovery key, or a passphrase, opens (security.md section 5).

`WLVX | version (1 byte) | mode (1) | wrapped key | encrypted object`. The wrapped key is, for a recovery key, an
ephemeral X25519 key (32 bytes), nonce (12) and AES-256-GCM of the object's key (48); for a passphrase the salt (16)
stands in place of the ephemeral key. The object is of the format of section 3. In it are lines of JSON: the secret of
the domain, without which the rows would be found by nobody, then the rows, unsealed.
"""

from __future__ import annotations

import json
import os
import secrets as stdlib_secrets
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from sqlalchemy import Table

from wardlight.errors import WardlightError
from wardlight.keys.derive import derive
from wardlight.keys.files import sync_folder
from wardlight.keys.labels import Label, bind
from wardlight.objects.format import Decryptor, Encryptor, ObjectKind, parse_header
from wardlight.receiver import vault_tables as tables
from wardlight.receiver.vault import Vault
from wardlight.receiver.vault_seal import Kind, raw

_MAGIC: Final = b"WLVX\x01"
_RECOVERY: Final = 1
_PASSPHRASE: Final = 2
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_WRAPPED_BYTES: Final = _NONCE_BYTES + _KEY_BYTES + 16
_SALT_BYTES: Final = 16
#: RFC 9106, second recommended choice: 64 MiB, three passes.
_ARGON2_KIB: Final = 64 << 10
_ARGON2_PASSES: Final = 3
_LINE_BYTES: Final = 1 << 20
_BATCH: Final = 500

#: Table → its name in the file, the kind it is sealed as, and how many of its columns are tokens.
_TABLES: Final[dict[str, tuple[Table, Kind, int]]] = {
    "person": (tables.person, Kind.PERSON, 1),
    "alias": (tables.alias, Kind.ALIAS, 2),
    "release": (tables.release, Kind.RELEASE, 2),
    "study": (tables.study, Kind.STUDY, 2),
    "uid": (tables.uid, Kind.UID, 2),
}


def recovery_public(pem: bytes) -> bytes:
    """The X25519 public key of a PEM file, as `openssl pkey -pubout` writes it. Raises `bad-request`."""
    with suppress(ValueError):
        key = load_pem_public_key(pem)
        if isinstance(key, X25519PublicKey):
            return key.public_bytes_raw()
    raise WardlightError("bad-request", "the recovery key is no X25519 public key in PEM")


def recovery_private(pem: bytes) -> X25519PrivateKey:
    """The X25519 private key of a PEM file, as `openssl genpkey -algorithm X25519` writes it. Raises `bad-request`."""
    with suppress(ValueError, TypeError):
        key = load_pem_private_key(pem, None)
        if isinstance(key, X25519PrivateKey):
            return key
    raise WardlightError("bad-request", "the recovery key is no X25519 private key in PEM without passphrase")


def export(
    vault: Vault,
    domain: bytes,
    place: Path,
    *,
    to: bytes | None = None,
    passphrase: str = "",
    before: Callable[[int], None],
) -> int:
    """Write the vault to a file that must not be there yet; returns the number of rows.

    domain: the secret of the hospital's pseudonyms. to: recovery public key, else `passphrase` counts. before: called
    with the number of rows when all is durable, before the file is in its place. Raises `already-exists`.
    """
    key = stdlib_secrets.token_bytes(_KEY_BYTES)
    wrapped = _for_recovery(key, to) if to is not None else _for_passphrase(key, passphrase)
    temporary = place.with_name(f".{stdlib_secrets.token_hex(8)}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    number = 0
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_MAGIC + wrapped)

            def sink(data: memoryview) -> None:
                file.write(data)

            out = Encryptor(key, uuid4(), uuid4(), ObjectKind.METADATA, sink)
            out.write(_line({"v": 1, "domain": b64encode(domain).decode("ascii")}))
            for line in _rows(vault):
                out.write(line)
                number += 1
            out.finish()
            file.flush()
            os.fsync(file.fileno())
        before(number)
        os.link(temporary, place)
    except FileExistsError:
        raise WardlightError("already-exists", "a file of this name is there already") from None
    finally:
        temporary.unlink()
    sync_folder(place.parent)
    return number


def _rows(vault: Vault) -> Iterator[bytes]:
    for name, (table, kind, tokens) in _TABLES.items():
        for row in vault.store.rows(table):
            content = vault.keys.unseal(kind, _place(kind, row), row[-1])
            texts = [b64encode(one).decode("ascii") for one in (*row[:tokens], content)]
            yield _line([name, *texts])


def _place(kind: Kind, row: tuple[bytes, ...]) -> bytes:
    """What a row is bound to: its primary key."""
    return row[0] + row[1] if kind is Kind.UID else row[0]


class Export:
    """An export that was opened. Raises `wrong-key`, `object-damaged`, `bad-request`."""

    def __init__(self, file: Path, *, key: X25519PrivateKey | None = None, passphrase: str = "") -> None:
        self._file = file
        with file.open("rb") as opened:
            start = opened.read(512)
            size = os.fstat(opened.fileno()).st_size
        if start[: len(_MAGIC)] != _MAGIC:
            raise WardlightError("bad-request", "this is no export of a vault")
        mode, rest = start[len(_MAGIC)], start[len(_MAGIC) + 1 :]
        if (mode == _RECOVERY) != (key is not None):
            wanted = "its recovery key" if mode == _RECOVERY else "its passphrase"
            raise WardlightError("bad-request", f"this export opens with {wanted}")
        head = _KEY_BYTES if key is not None else _SALT_BYTES
        shown, wrapped = rest[:head], rest[head : head + _WRAPPED_BYTES]
        wrapping = _of_passphrase(passphrase, shown) if key is None else _of_recovery(key, shown)
        self._start = len(_MAGIC) + 1 + head + _WRAPPED_BYTES
        try:
            sk = AESGCM(wrapping).decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], bind(Label.VAULT_RECOVERY, shown)
            )
        except (InvalidTag, ValueError):
            raise WardlightError("wrong-key", "this export was made for another key or passphrase") from None
        identifier = parse_header(self._read(0, 104)).object_id
        self._object = Decryptor(self._read, size - self._start, sk, identifier)
        self._lines = self._all()
        head_line = next(self._lines, None)
        if not isinstance(head_line, dict) or head_line.get("v") != 1:
            raise WardlightError("object-damaged", "an export of an unknown version")
        #: The secret of the hospital's pseudonyms.
        self.domain = raw(head_line["domain"])

    def bring(self, vault: Vault) -> int:
        """Add its rows to a vault of the same domain, sealed anew. Returns how many were new. Call it once."""
        new = 0
        batch: dict[str, list[list[bytes]]] = {}
        waiting = 0
        for line in self._lines:
            name, *texts = line
            _, kind, _ = _TABLES[name]
            *tokens, content = map(raw, texts)
            sealed = vault.keys.seal(kind, _place(kind, tuple(tokens)), content)
            batch.setdefault(name, []).append([*tokens, sealed])
            waiting += 1
            if waiting >= _BATCH:
                new += _brought(vault, batch)
                batch, waiting = {}, 0
        new += _brought(vault, batch)
        vault.store.turned()
        return new

    def _read(self, offset: int, length: int) -> bytes:
        with self._file.open("rb") as opened:
            opened.seek(self._start + offset)
            return opened.read(length)

    def _all(self) -> Iterator[Any]:
        rest = b""
        for chunk in self._object.iter(0, self._object.plaintext):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LINE_BYTES:
                raise WardlightError("object-damaged", "an export with a line too long")
            for line in lines:
                yield json.loads(line)


def _brought(vault: Vault, batch: dict[str, list[list[bytes]]]) -> int:
    return sum(vault.store.bring(_TABLES[name][0], rows) for name, rows in batch.items())


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _for_recovery(key: bytes, public: bytes) -> bytes:
    ephemeral = X25519PrivateKey.generate()
    shown = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    return bytes((_RECOVERY,)) + shown + _wrapped(key, _agreed(shared, shown, public), shown)


def _of_recovery(key: X25519PrivateKey, shown: bytes) -> bytes:
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(shown))
    except ValueError:
        raise WardlightError("object-damaged", "an export with a key that is none") from None
    return _agreed(shared, shown, key.public_key().public_bytes_raw())


def _agreed(shared: bytes, shown: bytes, public: bytes) -> bytes:
    return derive(shared, Label.VAULT_RECOVERY, shown + public)


def _for_passphrase(key: bytes, passphrase: str) -> bytes:
    salt = stdlib_secrets.token_bytes(_SALT_BYTES)
    return bytes((_PASSPHRASE,)) + salt + _wrapped(key, _of_passphrase(passphrase, salt), salt)


def _of_passphrase(passphrase: str, salt: bytes) -> bytes:
    kdf = Argon2id(salt=salt, length=_KEY_BYTES, iterations=_ARGON2_PASSES, lanes=1, memory_cost=_ARGON2_KIB)
    return kdf.derive(passphrase.encode("utf-8"))


def _wrapped(key: bytes, wrapping: bytes, shown: bytes) -> bytes:
    nonce = stdlib_secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(wrapping).encrypt(nonce, key, bind(Label.VAULT_RECOVERY, shown))
