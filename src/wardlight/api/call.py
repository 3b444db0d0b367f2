"""What a handler of the JSON API is given: plain data, no framework, so that it runs in any thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wardlight.access.model import Principal, Scope
from wardlight.audit.model import Actor
from wardlight.identity.service import actor_of

if TYPE_CHECKING:
    from wardlight.api.parts import ApiParts


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One authorised request.

    platform: the services. path: values of the path. query: the query string's values, each name once. headers: by
    name in lower case. body: the JSON object that was sent, {} where none belongs. base_url: the platform's address as
    the client knows it, without a slash at its end.
    """

    platform: ApiParts
    scope: Scope
    path: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)
    base_url: str

    @property
    def principal(self) -> Principal:
        """Who asks."""
        return self.scope.principal

    @property
    def actor(self) -> Actor:
        """Who asks, from where and with which token, as the audit trail names them."""
        scope = self.scope
        return replace(
            actor_of(scope.principal),
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
        )


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request of somebody whom nobody knows yet: it signs in, or asks for a token.

    path, query, headers, base_url: as above. body: as it came. request: trace id, 32 hexadecimal digits. address: of
    the client. secure: whether it came by TLS. principal: whom its cookie stands for, if anybody; an unsafe method has
    shown that it comes from our own pages, or it is None.
    """

    platform: ApiParts
    method: str
    path: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    cookies: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    request: str
    address: str = field(repr=False)
    base_url: str
    secure: bool
    principal: Principal | None
