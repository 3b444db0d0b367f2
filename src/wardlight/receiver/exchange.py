"""Small JSON exchanges with the platform, over a kept connection."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from wardlight import __version__
from wardlight.errors import WardlightError
from wardlight.receiver.connection import Address
from wardlight.receiver.credential import credential

_TIMEOUT_S: Final = 30.0
_ANSWER_BYTES: Final = 1 << 20


class ExchangeError(Exception):
    """No answer to work with. code: a word for the status. status: of HTTP, 0 where there was none."""

    def __init__(self, code: str, status: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class Exchange:
    """The connection of one thread. Not thread-safe."""

    def __init__(self, address: Address, secrets_dir: Path, scope: str = "") -> None:
        """scope: as `Credential` has it."""
        self._address = address
        self._credential = credential(address, secrets_dir, scope)
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """The JSON object at this path. Raises ExchangeError."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        """The JSON object that answers to JSON. Raises ExchangeError."""
        return self._call("POST", path, body)

    def fetch(self, path: str, most: int) -> bytes:
        """The bytes at this path, at most so many. Raises ExchangeError, `too-large` where there are more."""
        data = self._answer("GET", path, None, "application/dicom", most + 1)
        if len(data) > most:
            raise ExchangeError("too-large")
        return data

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _call(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        data = self._answer(method, path, body, "application/json", _ANSWER_BYTES)
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            raise ExchangeError("bad-answer") from None
        if not isinstance(answer, dict):
            raise ExchangeError("bad-answer")
        return answer

    def _answer(self, method: str, path: str, body: bytes | None, accept: str, most: int) -> bytes:
        try:
            shown = self._credential.headers(method, path.partition("?")[0])
        except WardlightError as error:
            raise ExchangeError(error.reason or error.code) from None
        except (OSError, http.client.HTTPException) as error:
            raise ExchangeError("unreachable") from error
        headers = {
            "Accept": accept,
            "User-Agent": f"wardlight-receiver/{__version__}",
            **shown,
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        kept = self._connection is not None
        try:
            status, data = self._once(method, path, headers, body, most)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not kept:
                raise ExchangeError("unreachable") from error
            # A kept connection may have been closed by the other side meanwhile: that is no outage. What is sent twice
            # the platform knows.
            try:
                status, data = self._once(method, path, headers, body, most)
            except (OSError, http.client.HTTPException) as second:
                self.close()
                raise ExchangeError("unreachable") from second
        if status == 401:
            self._credential.refused()
        if status not in (200, 201):
            raise ExchangeError(_CODES.get(status, f"http-{status}"), status)
        return data

    def _once(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, most: int
    ) -> tuple[int, bytes]:
        connection, whole = self._address.open(path, _TIMEOUT_S)
        if self._connection is None:
            self._connection = connection
        self._connection.request(method, whole, body=body, headers=headers)
        response = self._connection.getresponse()
        data = response.read(most)
        if response.will_close or not response.isclosed():
            self.close()
        return response.status, data


_CODES: Final = {401: "unauthenticated", 403: "forbidden", 404: "not-found", 429: "busy", 503: "busy"}
