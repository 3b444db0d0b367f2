"""Authorization requests of partner applications, read and checked (OpenID Connect Core 3.1.2, RFC 6749 4.1, RFC 7636).

Pure: no database, no web. What is wrong before client and redirect address are known to belong together is shown to
the person and never sent anywhere; everything else goes back to the application as an error code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

from wardlight.identity.application_model import Application

#: What an application may ask of a person, in our words: see docs/reference/openid.md.
OPENID: Final = "openid"
PROFILE: Final = "profile"
OFFLINE: Final = "offline_access"
IMAGES: Final = "images.read"
SCOPES: Final = (OPENID, PROFILE, OFFLINE, IMAGES)

#: Ours, within the address to which sign-in returns: the person must have signed in at this time or later.
AFTER: Final = "after"

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_PURPOSE: Final = re.compile(r"[A-Z]{1,16}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_LONGEST: Final = 2048


class AuthorizationError(Exception):
    """Told to the application by its redirect address (RFC 6749 section 4.1.2.1, Core section 3.1.2.6)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code)
        self.code = code
        self.text = text


class BadClient(Exception):
    """Client or redirect address are not what was registered: nothing is sent anywhere. `code`: for our own page."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that is in order. fresh_since_ms: when the person must have signed in, at the earliest."""

    client: Application
    redirect_uri: str = field(repr=False)
    scopes: frozenset[str]
    state: str | None = field(repr=False)
    nonce: str = field(repr=False)
    challenge: str
    purpose: str
    silent: bool
    ask_consent: bool
    fresh_since_ms: int


def redirect_of(query: Mapping[str, str], client: Application | None) -> str:
    """The redirect address, exactly as registered (RFC 9700 section 2.1). Raises `BadClient`."""
    if client is None or not client.active or not client.redirect_uris:
        raise BadClient("unknown-application")
    uri = query.get("redirect_uri", "")
    if uri not in client.redirect_uris:
        raise BadClient("redirect-address")
    return uri


def parse(
    query: Mapping[str, str], client: Application, redirect_uri: str, now_ms: int
) -> AuthorizationRequest:
    """The request of a client whose redirect address is known. Raises `AuthorizationError`."""
    for name, code in (("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")):
        if name in query:
            raise AuthorizationError(code, f"{name} is not taken")
    _require(all(len(value) <= _LONGEST for value in query.values()), "a parameter is too long")
    if query.get("response_type") != "code":
        known = "response_type" in query
        code = "unsupported_response_type" if known else "invalid_request"
        raise AuthorizationError(code, "response_type must be code")
    _require(query.get("response_mode", "query") == "query", "response_mode must be query")
    _require(query.get("code_challenge_method") == "S256", "code_challenge_method must be S256")
    challenge = query.get("code_challenge", "")
    _require(_CHALLENGE.fullmatch(challenge) is not None, "code_challenge is not a SHA-256 in base64url")
    purpose = query.get("purpose_of_use", "TREAT")
    _require(_PURPOSE.fullmatch(purpose) is not None, "purpose_of_use is not a code")
    prompts = frozenset(query.get("prompt", "").split())
    _require(prompts <= _PROMPTS and not ("none" in prompts and len(prompts) > 1), "prompt is not understood")
    return AuthorizationRequest(
        client,
        redirect_uri,
        _scopes(query, client),
        query.get("state"),
        query.get("nonce", ""),
        challenge,
        purpose,
        silent="none" in prompts,
        ask_consent="consent" in prompts,
        fresh_since_ms=_fresh_since(query, prompts, now_ms),
    )


def _scopes(query: Mapping[str, str], client: Application) -> frozenset[str]:
    asked = frozenset(query.get("scope", "").split())
    if OPENID not in asked:
        raise AuthorizationError("invalid_scope", "scope must hold openid")
    # What is not known here is left out (Core section 3.1.2.1); what the application is not registered for is refused.
    if IMAGES in asked and IMAGES not in client.scopes:
        raise AuthorizationError("invalid_scope", f"the application is not registered for {IMAGES}")
    return asked & frozenset(SCOPES)


def _fresh_since(query: Mapping[str, str], prompts: frozenset[str], now_ms: int) -> int:
    """Sign-in adds `after` to the address that it returns to; without it `prompt=login` would ask for ever."""
    for name in ("max_age", AFTER):
        _require(_NUMBER.fullmatch(query.get(name, "0")) is not None, f"{name} is not a number")
    if AFTER in query:
        return int(query[AFTER])
    if prompts & {"login", "select_account"}:
        return now_ms
    return now_ms - int(query["max_age"]) * 1000 if "max_age" in query else 0


def _require(holds: bool, text: str) -> None:
    if not holds:
        raise AuthorizationError("invalid_request", text)


def with_parameters(uri: str, parameters: Mapping[str, str | None]) -> str:
    """The address with these added to its query; those that are None are left out."""
    added = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{added}" if added else uri


def origin_of(uri: str) -> str:
    """Scheme, host and port of an address, as a browser names a page's origin (RFC 6454 section 6.2)."""
    parts = urlsplit(uri)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if parts.port in (None, usual) else f":{parts.port}")
