"""Who sends a request: the holder of a token, proved by a key where the token is bound to one."""

from __future__ import annotations

from typing import Final

from fastapi import Request

from wardlight.access.model import Principal
from wardlight.audit.actions import Action
from wardlight.errors import WardlightError
from wardlight.identity import dpop
from wardlight.web.addresses import site_url
from wardlight.web.cookies import cookie_principal
from wardlight.web.services import Services

_TOKEN_LENGTH: Final = 256
_REALM: Final = 'realm="wardlight"'


def token_of(request: Request) -> tuple[str, str]:
    """Scheme, in lower case, and token of the Authorization header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return scheme.lower(), token.strip()


def authenticate(
    services: Services, action: Action, request: Request, address: str, *, seen: bool = True
) -> Principal:
    """The principal of the token (RFC 6750, RFC 9449), else of the session. Raises `unauthenticated`, audited.

    seen: whether the request shows that somebody sits before the page.
    """
    scheme, token = token_of(request)
    reason, error = ("invalid-token", "invalid_token") if token else ("no-token", "")
    if not token:
        session, reason = cookie_principal(services, request, seen=seen)
        if session is not None:
            return session
    if 0 < len(token) <= _TOKEN_LENGTH and token.isascii() and scheme in ("bearer", "dpop"):
        try:
            jkt = _proved(services, request, token) if scheme == "dpop" else None
            principal = services.identity.authenticate(token, jkt)
            if principal is not None:
                return principal
        except dpop.ProofRefused as refused:
            reason, error = refused.reason, "use_dpop_nonce" if refused.wants_nonce else "invalid_dpop_proof"
    services.access.deny(None, action, reason, request=request.state.request, address=address, status=401)
    raise WardlightError("unauthenticated", reason=reason, headers=_challenge(services, scheme, error))


def _proved(services: Services, request: Request, token: str) -> bytes:
    """Thumbprint of the key that the request is signed by. Raises ProofRefused."""
    proofs = request.headers.getlist("dpop")
    if len(proofs) != 1:
        raise dpop.ProofRefused("proof-form")
    path = request.scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1")
    nonces = services.platform.platform_keys.nonces()
    return dpop.check(proofs[0], request.method, site_url(services, request) + path, nonces, token=token)


def _challenge(services: Services, scheme: str, error: str) -> dict[str, str]:
    name = "DPoP" if scheme == "dpop" else "Bearer"
    challenge = {"WWW-Authenticate": f"{name} {_REALM}" + (f', error="{error}"' if error else "")}
    if error == "use_dpop_nonce":
        challenge["DPoP-Nonce"] = services.platform.platform_keys.nonces().new()
    return challenge
