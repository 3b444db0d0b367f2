"""What a grant of the token endpoint is given, and how it answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from wardlight.identity.clients import Client
from wardlight.identity.oauth import ClientRequest

if TYPE_CHECKING:
    from wardlight.api.parts import ApiParts


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request for a token, of a client that proved who it is.

    jkt: thumbprint of the key that the token is to be bound to, None where the client asked for a bearer token.
    """

    platform: ApiParts
    asked: ClientRequest
    client: Client
    jkt: bytes | None = field(repr=False)

    def issue(
        self, institution: UUID, scopes: Iterable[str], purpose: str, *, person: str = ""
    ) -> dict[str, Any]:
        """A new access token, as RFC 6749 section 5.1 answers; person: whose it is, if a user's."""
        wanted = sorted(scopes)
        token, life = self.platform.access_tokens.issue(
            self.client,
            institution,
            scopes=wanted,
            purpose=purpose,
            jkt=self.jkt,
            request=self.asked,
            person=person,
        )
        shown = {
            "access_token": token,
            "token_type": "DPoP" if self.jkt else "Bearer",
            "expires_in": life,
            "scope": " ".join(wanted),
            "institution": self.platform.identity.institution(str(institution)).slug,
        }
        return shown | ({"purpose_of_use": purpose} if purpose else {})
