"""Access tokens: fetched with the private key, kept until shortly before they expire, put on each request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Generator
from typing import Final

import httpx

from wardlight.client.errors import Unauthenticated, error_of
from wardlight.client.keys import SigningKey

TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: A token is renewed so many seconds before it expires: a request on its way then still arrives with a valid one.
_AHEAD_S: Final = 30.0


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
        self._token = ""
        self._until = 0.0
        self._lock: Final = threading.Lock()
        self._async_lock: Final = asyncio.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with a token; where it is not taken, once more with a new one."""
        for _ in range(2):
            with self._lock:
                if not self._is_fresh():
                    answer = yield self._token_request()
                    answer.read()
                    self._take(answer)
                token = self._put_on(request)
            answer = yield request
            if not self._is_stale(answer, token):
                return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The same for `httpx.AsyncClient`."""
        for _ in range(2):
            async with self._async_lock:
                if not self._is_fresh():
                    answer = yield self._token_request()
                    await answer.aread()
                    self._take(answer)
                token = self._put_on(request)
            answer = yield request
            if not self._is_stale(answer, token):
                return

    def headers(self, method: str, url: str) -> dict[str, str]:
        """Header fields for a request that another library sends; fetches a token where there is none."""
        with self._lock:
            if not self._is_fresh():
                with httpx.Client(trust_env=False) as client:
                    self._take(client.send(self._token_request()))
            return self._fields(method, url)

    def _is_fresh(self) -> bool:
        return time.monotonic() < self._until - _AHEAD_S

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
            fields["DPoP"] = self._proof_key.proof("POST", self._url)
        return httpx.Request("POST", self._url, data=form, headers=fields)

    def _take(self, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            raise error_of(answer)
        body = answer.json()
        kind = "dpop" if self._proof_key else "bearer"
        if str(body.get("token_type", "")).lower() != kind:
            raise Unauthenticated(200, "token-type", f"the token is not of the type {kind}")
        self._token = str(body["access_token"])
        self._until = time.monotonic() + float(body.get("expires_in", 0))

    def _put_on(self, request: httpx.Request) -> str:
        url = request.url.copy_with(query=None, fragment=None)
        request.headers.update(self._fields(request.method, str(url)))
        return self._token

    def _fields(self, method: str, url: str) -> dict[str, str]:
        if self._proof_key is None:
            return {"Authorization": f"Bearer {self._token}"}
        proof = self._proof_key.proof(method, url, self._token)
        return {"Authorization": f"DPoP {self._token}", "DPoP": proof}

    def _is_stale(self, answer: httpx.Response, token: str) -> bool:
        """Whether the token was refused: then the next round gets a new one, unless another thread has it already."""
        if answer.status_code != 401:
            return False
        if self._token == token:
            self._until = 0.0
        return True
