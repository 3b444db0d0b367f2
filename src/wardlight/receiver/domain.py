"""The pseudonym domain of a hospital: one secret that all its receivers share, so that they give the same pseudonyms.

It is made at the first receiver and handed to another one sealed to the key that this one enrolled with: ECDH with an
ephemeral key, HKDF, AES-256-GCM. The platform never has it: it could test guesses of who a pseudonym is.
"""

from __future__ import annotations

import fcntl
import json
import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc.jwk import ECKey

from wardlight.errors import WardlightError
from wardlight.keys.derive import derive
from wardlight.keys.files import replace_private
from wardlight.keys.labels import Label, bind
from wardlight.receiver.credential import enrolled
from wardlight.receiver.vault import Vault
from wardlight.receiver.vault_seal import raw

_NONCE_BYTES: Final = 12
_FILE_BYTES: Final = 16 << 10
#: Name of the file with the secret, in the receiver's secrets folder.
SECRET_FILE: Final = "hospital.key"  # noqa: S105 - the name of a file


def public_key(directory: Path) -> dict[str, Any]:
    """The public side of the key this receiver enrolled with, as JWK. Raises `not-found` where it has none."""
    return dict(_own(directory).as_dict(private=False))


def seal(secret: bytes, jwk: dict[str, Any]) -> str:
    """The domain's secret for the receiver with this public key, as text. Raises `bad-request`."""
    try:
        public = ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")}).public_key
    except (ValueError, KeyError, TypeError):
        raise WardlightError("bad-request", "this is no public key of a receiver") from None
    ephemeral = ec.generate_private_key(public.curve)
    shown = _point(ephemeral.public_key())
    key = derive(ephemeral.exchange(ec.ECDH(), public), Label.DOMAIN, shown + _point(public))
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, secret, bind(Label.DOMAIN, shown))
    parts = {"epk": shown, "nonce": nonce, "sealed": sealed}
    return json.dumps({"v": 1, **{name: b64encode(one).decode("ascii") for name, one in parts.items()}})


def unseal(text: str, directory: Path) -> bytes:
    """The domain's secret that was sealed for this receiver. Raises `bad-request`, `wrong-key`, `not-found`."""
    private = _own(directory).private_key
    assert private is not None
    try:
        found = json.loads(text[:_FILE_BYTES])
        shown, nonce, sealed = (raw(found[name]) for name in ("epk", "nonce", "sealed"))
        public = ec.EllipticCurvePublicKey.from_encoded_point(private.curve, shown)
    except (ValueError, KeyError, TypeError):
        raise WardlightError("bad-request", "this is no domain for a receiver") from None
    own = private.public_key()
    key = derive(private.exchange(ec.ECDH(), public), Label.DOMAIN, shown + _point(own))
    try:
        return AESGCM(key).decrypt(nonce, sealed, bind(Label.DOMAIN, shown))
    except (InvalidTag, ValueError):
        raise WardlightError("wrong-key", "this domain was sealed for another receiver") from None


def adopt(
    secret: bytes,
    current: bytes,
    directory: Path,
    vault: Vault,
    quarantine: Path,
    before: Callable[[], None] = lambda: None,
) -> bool:
    """Make a domain this receiver's own. False if it is already. before: called when nothing is in its way.

    Raises `bad-request` where the vault has pseudonyms of the domain it has now, which would then lead nowhere,
    `unavailable` while the receiver runs: its processes keep the secret that they began with.
    """
    if secret == current:
        before()
        return False
    if vault.store.counts()["pseudonyms"]:
        raise WardlightError("bad-request", "this receiver has given pseudonyms of its own domain already")
    if _runs(quarantine):
        raise WardlightError("unavailable", "stop the receiver first")
    before()
    vault.store.clear()
    replace_private(directory / SECRET_FILE, secret, mode=0o400)
    return True


def _runs(quarantine: Path) -> bool:
    """Whether a pipeline lives: it holds a lock of the quarantine for that long."""
    try:
        descriptor = os.open(quarantine / "quarantine.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _own(directory: Path) -> ECKey:
    known = enrolled(directory)
    if known is None:
        raise WardlightError("not-found", "this receiver has not enrolled")
    return known.key


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    numbers = key.public_numbers()
    size = (key.curve.key_size + 7) // 8
    return b"\x04" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
