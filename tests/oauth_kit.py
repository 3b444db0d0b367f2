"""Applications and receivers as the platform meets them: with keys of their own, assertions and proofs."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import select

from wardlight.audit.tables import pending
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.clients import ASSERTION
from wardlight.identity.jose import encode
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY

BASE = "http://ward.example"
TOKEN = f"{BASE}/oauth2/token"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
Key = ECKey | RSAKey


def a_key(kid: str = "k1", crv: str = "P-256") -> ECKey:
    return ECKey.generate_key(crv, {"kid": kid})


def public(key: Key) -> dict[str, Any]:
    return dict(key.as_dict(private=False))


def signed(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    """A compact token; what the library refuses to say in a header is signed by hand all the same."""
    known = {name: header[name] for name in ("alg", "typ", "kid") if name in header}
    text = jws.serialize_compact(known, json.dumps(claims), key, algorithms=[header["alg"]])
    if known == header:
        return text
    model = jws.JWSRegistry(algorithms=[header["alg"]]).get_alg(header["alg"])
    head = encode(json.dumps(header).encode())
    body = f"{head}.{text.split('.')[1]}".encode()
    return f"{body.decode()}.{encode(model.sign(body, key))}"


def assertion(key: Key, client: str, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A client assertion that holds unless something else is said; None takes a claim away."""
    said = {
        "iss": client,
        "sub": client,
        "aud": TOKEN,
        "exp": int(time.time()) + 60,
        "iat": int(time.time()),
        "jti": secrets.token_hex(8),
    } | claims
    head = {"alg": "ES256", "typ": "JWT", "kid": key.kid} | (header or {})
    return signed(
        {name: value for name, value in head.items() if value is not None},
        {name: value for name, value in said.items() if value is not None},
        key,
    )


def proof(
    key: Key,
    nonce: str,
    method: str = "POST",
    url: str = TOKEN,
    *,
    token: str = "",
    header: dict[str, Any] | None = None,
    **claims: Any,
) -> str:
    """A DPoP proof that holds unless something else is said."""
    said = {"htm": method, "htu": url, "iat": int(time.time()), "jti": secrets.token_hex(8), "nonce": nonce}
    if token:
        said["ath"] = encode(hashlib.sha256(token.encode()).digest())
    head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": public(key)} | (header or {})
    head["jwk"] = {name: value for name, value in head["jwk"].items() if name != "kid"}
    return signed(head, {name: value for name, value in (said | claims).items() if value is not None}, key)


class Caller:
    """A client without a token, which asks the OAuth endpoints."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def form(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> Any:
        sent = {"Authorization": "", **FORM, **(headers or {})}
        if not sent["Authorization"]:
            del sent["Authorization"]
            self._client.headers.pop("Authorization", None)
        return self._client.post(path, content=urlencode(fields), headers=sent)

    def token(self, shown: str = "", headers: dict[str, str] | None = None, **fields: str) -> Any:
        """POST /oauth2/token with an assertion, for the purpose TREAT unless something else is said."""
        if shown:
            fields |= {"client_assertion_type": ASSERTION, "client_assertion": shown}
        fields = {"grant_type": "client_credentials", "purpose_of_use": "TREAT", **fields}
        return self.form("/oauth2/token", headers, **{name: value for name, value in fields.items() if value})


def an_application(platform: Any, id_: str, key: ECKey | None, *institutions: Any, **options: Any) -> Any:
    """An active application with a key, to which the institutions subscribe."""
    platform.applications.register(id_, "Acme AI", "Acme Inc.", by=BY, **options)
    row = platform.applications.approve(id_, by=BY)
    if key is not None:
        platform.applications.add_key(id_, public(key), by=BY)
    for institution in institutions:
        platform.entitlements.subscribe(institution.id, id_, by=BY)
    return row


def entries(platform: Any, action: str) -> list[dict[str, Any]]:
    """Entries of this action that are not sealed yet, oldest first."""
    with platform.database.read(EVERYWHERE) as tx:
        rows = tx.execute(select(pending.c.content).order_by(pending.c.seq)).scalars()
        return [entry for row in rows if (entry := json.loads(row))["action"] == action]
