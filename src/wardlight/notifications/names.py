"""Names that texts hold: of applications and of the institution."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from wardlight.agreements.model import IMAGES
from wardlight.identity import application_store
from wardlight.identity import store as identity
from wardlight.notifications.model import Definition, filled


class Names:
    """Names as one institution's people read them."""

    def __init__(self, tx: Connection, institution: UUID, applications: Collection[str]) -> None:
        wanted = {one for one in applications if one}
        known = {row.id: row.name for row in application_store.applications(tx) if row.id in wanted}
        found = identity.institutions(tx, id_=institution)
        self._applications = known
        self.institution = found[0].name if found else ""

    def application(self, id_: str) -> str:
        """Name of an application; its id where it has none any more."""
        return "Images" if id_ == IMAGES else self._applications.get(id_, id_)

    def title(self, definition: Definition, data: Mapping[str, Any]) -> str:
        """The title with its values."""
        return filled(definition.title, data, self._names(definition, data))

    def text(self, definition: Definition, data: Mapping[str, Any]) -> str:
        """The text with its values."""
        return filled(definition.text, data, self._names(definition, data))

    def _names(self, definition: Definition, data: Mapping[str, Any]) -> dict[str, str]:
        about = definition.application or str(data.get("application", ""))
        return {"application": self.application(about) if about else "", "institution": self.institution}

    def sample(self, text: str) -> str:
        """A text without values, for those who choose."""
        return text.replace("{institution}", self.institution)
