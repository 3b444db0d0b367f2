"""What the receiver shows with each request: a short token, and a proof by the key that it enrolled (RFC 9449).

The key never leaves the machine. A token is asked for when there is none that holds, and shared by the threads of a
process; the platform's nonce in each proof is asked for again before it is too old. Where an administrator put a token
in place, as the demo's tests do, it is shown as it is.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import secrets as stdlib_secrets
import threading
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey

from wardlight import __version__
from wardlight.errors import WardlightError
from wardlight.identity.enrolments import ALGORITHM
from wardlight.identity.jose import encode
from wardlight.receiver import secrets
from wardlight.receiver.connection import Address

METADATA: Final = "/.well-known/oauth-authorization-server"
_TOKEN: Final = "/oauth2/token"  # noqa: S105 - a path
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TIMEOUT_S: Final = 30.0
_ANSWER_BYTES: Final = 64 << 10
#: A nonce is good for a minute, a token for what it says: both are renewed a little earlier.
_NONCE_S: Final = 40.0
_EARLY_S: Final = 30.0
_ASSERTION_S: Final = 50


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A receiver that is known to a platform. issuer: the platform's address; "" where it is on this machine."""

    receiver: str
    issuer: str
    key: ECKey = field(repr=False)


@dataclass(slots=True)
class _Session:
    """What one process holds at the moment. skew_s: how far the platform's clock is ahead of ours."""

    issuer: str = ""
    nonce: str = ""
    nonce_at: float = float("-inf")
    skew_s: float = 0.0
    token: str = field(default="", repr=False)
    ends_at: float = float("-inf")


def enrolled(directory: Path) -> Enrolled | None:
    """The receiver's enrolment, read anew each time; None where it has none. Raises `settings-unsafe`."""
    text = secrets.credential(directory)
    if text is None:
        return None
    try:
        found = json.loads(text)
        return Enrolled(found["receiver"], found["issuer"], ECKey.import_key(found["jwk"]))
    except (ValueError, KeyError, TypeError):
        raise WardlightError("settings-unsafe", "the receiver's credential cannot be read") from None


def save(directory: Path, receiver: str, issuer: str, key: ECKey) -> None:
    """Put an enrolment in the place of the one before. An issuer on this machine may be called by any of its names."""
    issuer = "" if _is_here(urlsplit(issuer).hostname or "") else issuer
    content = {"receiver": receiver, "issuer": issuer, "jwk": key.as_dict(private=True)}
    secrets.save_credential(directory, json.dumps(content))


@lru_cache(maxsize=8)
def credential(address: Address, directory: Path, scope: str = "") -> Credential:
    """The one of this process for a platform: its threads share a token. scope: as `Credential` has it."""
    return Credential(address, directory, scope)


class Credential:
    """Thread-safe. Networks may fail in any call: OSError and http.client.HTTPException go to the caller."""

    def __init__(self, address: Address, directory: Path, scope: str = "") -> None:
        """scope: what its tokens are for; to store, and to tell the trail, where nothing is named."""
        self._address = address
        self._scope = scope
        self._directory = directory
        self._lock = threading.Lock()
        self._session = _Session()

    def headers(self, method: str, path: str) -> dict[str, str]:
        """What a request to this path, without its query, must have. Raises `unauthenticated`, `unavailable`."""
        known = enrolled(self._directory)
        if known is None:
            return {"Authorization": f"Bearer {secrets.token(self._directory)}"}
        with self._lock:
            session = self._session
            if time.monotonic() >= session.ends_at:
                self._renew(known, session)
            elif time.monotonic() - session.nonce_at > _NONCE_S:
                self._ask(known, session)
            token = session.token
            proof = self._proof(known, session, method, path, token)
        return {"Authorization": f"DPoP {token}", "DPoP": proof}

    def refused(self) -> None:
        """The platform did not take it: the next request comes with a new token."""
        with self._lock:
            self._session = _Session()

    def _renew(self, known: Enrolled, session: _Session) -> None:
        self._ask(known, session)
        now = int(time.time() + session.skew_s)
        claims = {
            "iss": known.receiver,
            "sub": known.receiver,
            "aud": session.issuer + _TOKEN,
            "iat": now,
            "exp": now + _ASSERTION_S,
            "jti": stdlib_secrets.token_hex(16),
        }
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION,
            "client_assertion": _signed({"typ": "JWT"}, claims, known.key),
        }
        if self._scope:
            form["scope"] = self._scope
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "DPoP": self._proof(known, session, "POST", _TOKEN),
        }
        status, body, _ = self._once("POST", _TOKEN, headers, urlencode(form).encode())
        if status in (400, 401):
            raise WardlightError(
                "unauthenticated", "the platform does not take the receiver's key", "key-refused"
            )
        if status != 200:
            raise WardlightError("unavailable", f"the platform answered {status}")
        session.token = str(_member(body, "access_token", str))
        session.ends_at = time.monotonic() + _member(body, "expires_in", int) - _EARLY_S

    def _ask(self, known: Enrolled, session: _Session) -> None:
        """A nonce, and where the platform thinks it is: which must be where the receiver enrolled."""
        before = time.time()
        status, body, answered = self._once("GET", METADATA, {}, None)
        nonce = answered.get("DPoP-Nonce", "")
        if status != 200 or not nonce:
            raise WardlightError("unavailable", f"the platform answered {status}")
        issuer = str(_member(body, "issuer", str))
        if known.issuer not in ("", issuer):
            raise WardlightError(
                "unauthenticated", "this is not the platform of the enrolment", "other-platform"
            )
        session.issuer, session.nonce, session.nonce_at = issuer, nonce, time.monotonic()
        session.skew_s = _moment(answered.get("Date", ""), before) - before

    def _proof(self, known: Enrolled, session: _Session, method: str, path: str, token: str = "") -> str:
        claims = {
            "htm": method,
            "htu": session.issuer + path,
            "iat": int(time.time() + session.skew_s),
            "jti": stdlib_secrets.token_hex(16),
            "nonce": session.nonce,
        }
        if token:
            claims["ath"] = encode(hashlib.sha256(token.encode()).digest())
        return _signed({"typ": "dpop+jwt", "jwk": known.key.as_dict(private=False)}, claims, known.key)

    def _once(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        connection, whole = self._address.open(path, _TIMEOUT_S)
        try:
            agent = {"User-Agent": f"wardlight-receiver/{__version__}", "Accept": "application/json"}
            connection.request(method, whole, body=body, headers=agent | headers)
            response = connection.getresponse()
            return response.status, response.read(_ANSWER_BYTES), response.headers
        finally:
            connection.close()


def _signed(header: dict[str, Any], claims: dict[str, Any], key: ECKey) -> str:
    return jws.serialize_compact({"alg": ALGORITHM, **header}, json.dumps(claims), key)


def _member(body: bytes, name: str, kind: type[Any]) -> Any:
    try:
        value = json.loads(body)[name]
    except (ValueError, KeyError, TypeError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise WardlightError("unavailable", "the platform's answer cannot be read")
    return value


def _moment(date: str, otherwise: float) -> float:
    """The time of a Date header, which has whole seconds."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return otherwise


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
