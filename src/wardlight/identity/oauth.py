"""The words of OAuth 2.0 that more than one endpoint uses: its errors, and what a client's request consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 30
#: Errors that are answered with another status than 400 (RFC 6749 section 5.2, RFC 9449 section 5).
_STATUS: Final = {"invalid_client": 401}


class OAuthError(Exception):
    """An error as RFC 6749 section 5.2 spells it. reason: a finer code, for the trail only."""

    def __init__(self, error: str, description: str = "", reason: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.reason = reason or error.replace("_", "-")

    @property
    def status(self) -> int:
        """HTTP status of the answer."""
        return _STATUS.get(self.error, 400)


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """What came to an endpoint where clients prove who they are.

    form: the parameters of the body, each once. authorization, proof: those headers, "" if there is none. url: of the
    endpoint, as the client knows it. audiences: what an assertion may be made out to. address: of the client. request:
    trace id, 32 hexadecimal digits.
    """

    form: Mapping[str, str] = field(repr=False)
    authorization: str = field(repr=False)
    proof: str = field(repr=False)
    url: str
    audiences: frozenset[str]
    address: str = field(repr=False)
    request: str

    def required(self, name: str) -> str:
        """A parameter that must be there. Raises OAuthError."""
        value = self.form.get(name, "")
        if not value:
            raise OAuthError("invalid_request", f"{name} is missing")
        return value


def parse_form(body: bytes, content_type: str) -> dict[str, str]:
    """The parameters of a request's body (RFC 6749 section 3.2). Raises OAuthError; none may come twice."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request", f"the body must be {FORM}")
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise OAuthError("invalid_request", "the body is not a form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "a parameter comes twice")
    return form
