"""Access tokens: fetched with the private key, kept until shortly before they expire, put on each request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from typing import Final

import httpx

from wardlight.client.errors import Unauthenticated, error_of
from wardlight.client.keys import SigningKey

TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: A token is renewed so many seconds before it expires: a request on its way then still arrives with a valid one.
_AHEAD_S: Final = 30.0
#: Times that a token is asked for: as it is, and with the nonce that was wanted.
_TRIES: Final = 3


class TokenAuth(httpx.Auth):
    """Authenticates requests of one application at one institution for one purpose (RFC 6749 section 4.4, RFC 7523).

    For `httpx.Client` and `httpx.AsyncClient`. A token that is not taken any more is replaced once a request.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        key: SigningKey,
        *,
        institution: str,
        purpose: str,
        scopes: tuple[str, ...] = (),
        dpop: bool = False,
    ) -> None:
        self._url: Final = base_url + TOKEN_PATH
        self._client_id: Final = client_id
        self._key: Final = key
        self._asked: Final = {
            "institution": institution, "purpose_of_use": purpose, "scope": " ".join(scopes),
        }  # fmt: skip
        # Its own key: a proof then tells nobody which application it is.
        self._proof_key: Final = SigningKey.generate() if dpop else None
        #: Times that a request is sent: as it is, with another token, with another nonce.
        self._tries: Final = 3 if dpop else 2
        self._token = ""
        self._until = 0.0
        # What the platform wants to see in the next proof (RFC 9449 sections 8 and 9).
        self._nonce = ""
        self._lock: Final = threading.Lock()
        self._async_lock: Final = asyncio.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with a token; where it is not taken, again with a new one or a new nonce."""
        for _ in range(self._tries):
            with self._lock:
                for _ in range(_TRIES):
                    if self._is_fresh():
                        break
                    answer = yield self._token_request()
                    answer.read()
                    self._take(answer)
                token = self._put_on(request)
            answer = yield request
            if not self.is_refused(answer.status_code, answer.headers, token):
                return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The same for `httpx.AsyncClient`."""
        for _ in range(self._tries):
            async with self._async_lock:
                for _ in range(_TRIES):
                    if self._is_fresh():
                        break
                    answer = yield self._token_request()
                    await answer.aread()
                    self._take(answer)
                token = self._put_on(request)
            answer = yield request
            if not self.is_refused(answer.status_code, answer.headers, token):
                return

    def headers(self, method: str, url: str) -> dict[str, str]:
        """Header fields for a request that another library sends; fetches a token where there is none."""
        with self._lock:
            if not self._is_fresh():
                with httpx.Client(trust_env=False, timeout=30.0) as client:
                    for _ in range(_TRIES):
                        self._take(client.send(self._token_request()))
                        if self._is_fresh():
                            break
            return self._fields(method, url)

    def is_refused(self, status: int, headers: Mapping[str, str], token: str) -> bool:
        """Whether an answer refuses token or proof: then the next try has new ones, unless another got them already."""
        if status != 401:
            self._has_new_nonce(headers)
            return False
        if not self._has_new_nonce(headers) and self._token == token:
            self._until = 0.0
        return True

    def _is_fresh(self) -> bool:
        return time.monotonic() < self._until

    def _token_request(self) -> httpx.Request:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_assertion_type": _ASSERTION,
            "client_assertion": self._key.assertion(self._client_id, self._url),
            **{name: value for name, value in self._asked.items() if value},
        }
        fields = {"Accept": "application/json"}
        if self._proof_key:
            fields["DPoP"] = self._proof_key.proof("POST", self._url, nonce=self._nonce)
        return httpx.Request("POST", self._url, data=form, headers=fields)

    def _take(self, answer: httpx.Response) -> None:
        if self._has_new_nonce(answer.headers) and answer.status_code in (400, 401):
            return
        if answer.status_code != 200:
            raise error_of(answer)
        kind = "dpop" if self._proof_key else "bearer"
        try:
            body = answer.json()
            found, token, life = (
                str(body["token_type"]).lower(),
                str(body["access_token"]),
                float(body["expires_in"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Unauthenticated(200, "unknown", "the answer is not one of the platform's") from error
        if found != kind:
            raise Unauthenticated(200, "token-type", f"the token is not of the type {kind}")
        self._token = token
        self._until = time.monotonic() + max(life - _AHEAD_S, life / 2)

    def _put_on(self, request: httpx.Request) -> str:
        url = request.url.copy_with(query=None, fragment=None)
        request.headers.update(self._fields(request.method, str(url)))
        return self._token

    def _fields(self, method: str, url: str) -> dict[str, str]:
        if not self._token:
            raise Unauthenticated(401, "use_dpop_nonce", "the platform takes no nonce of its own")
        if self._proof_key is None:
            return {"Authorization": f"Bearer {self._token}"}
        proof = self._proof_key.proof(method, url, self._token, self._nonce)
        return {"Authorization": f"DPoP {self._token}", "DPoP": proof}

    def _has_new_nonce(self, headers: Mapping[str, str]) -> bool:
        """Whether the next proof is to have another nonce than the last one."""
        before, self._nonce = self._nonce, headers.get("dpop-nonce", self._nonce)
        return self._proof_key is not None and self._nonce != before
