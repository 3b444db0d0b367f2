"""One sealed entry as everything that reads or exports the trail takes it (audit.md section 1)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry with its place in the log and its leaf hash (32 bytes). Members that an entry lacks read as empty."""

    index: int
    leaf: bytes
    entry: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, index: int, content: bytes, leaf: bytes) -> Sealed:
        """From the bytes that are the leaf."""
        return cls(index, leaf, json.loads(content))

    @property
    def id(self) -> str:
        """UUID of the entry."""
        return self.text("id")

    @property
    def action(self) -> str:
        """`source:subject:verb`."""
        return self.text("action")

    @property
    def phase(self) -> str:
        """`authorised`, `finished`, or empty for an event of one step."""
        return self.text("phase")

    @property
    def outcome(self) -> str:
        """`success`, `denied`, `failed`, `partial` or `unknown`."""
        return self.text("outcome")

    @property
    def recorded(self) -> str:
        """When the platform wrote it, UTC with milliseconds."""
        return self.text("recorded")

    @property
    def source(self) -> str:
        """Whose word it is: `platform`, `receiver` or `application`."""
        return self.text("source")

    @property
    def log(self) -> str:
        """Origin of the log."""
        return self.text("log")

    @property
    def host(self) -> str:
        """Public host of the platform, as it stands in the log's origin."""
        return self.log.rsplit("/audit/", 1)[0]

    @property
    def slug(self) -> str:
        """Short name of the institution, or `operator`."""
        return self.log.rsplit("/", 2)[-2]

    @property
    def actor(self) -> Mapping[str, str]:
        """kind, id, role."""
        return self.members("actor")

    @property
    def behalf(self) -> Mapping[str, str]:
        """kind, id."""
        return self.members("behalf")

    @property
    def target(self) -> Mapping[str, Any]:
        """Member `object`: kind, ref or id, version."""
        return self.members("object")

    @property
    def address(self) -> str:
        """Network address of the client."""
        return str(self.members("network").get("address", ""))

    @property
    def agreement(self) -> Mapping[str, Any]:
        """id, version."""
        return self.members("agreement")

    @property
    def counts(self) -> Mapping[str, int]:
        """How much, by name."""
        return self.members("counts")

    @property
    def detail(self) -> Mapping[str, Any]:
        """What else the action tells."""
        return self.members("detail")

    @property
    def classes(self) -> list[str]:
        """Data classes touched."""
        return list(self.entry.get("classes", ()))

    @property
    def subjects(self) -> list[Mapping[str, str]]:
        """Keyed references touched, each {patient?, study?}."""
        return list(self.entry.get("subjects", ()))

    @property
    def patients(self) -> list[str]:
        """References of patients, each once, in their order."""
        return self._references("patient")

    @property
    def studies(self) -> list[str]:
        """References of studies, each once, in their order."""
        return self._references("study")

    def text(self, name: str) -> str:
        """A member that is a text."""
        return str(self.entry.get(name, ""))

    def members(self, name: str) -> Mapping[str, Any]:
        """A member that is an object."""
        found: Mapping[str, Any] = self.entry.get(name, {})
        return found

    def _references(self, name: str) -> list[str]:
        found = [subject[name] for subject in self.subjects if name in subject]
        if self.target.get("kind") == name and "ref" in self.target:
            found.append(self.target["ref"])
        return list(dict.fromkeys(found))


def kept(rows: Iterable[tuple[int, bytes | None, bytes]]) -> Iterator[Sealed]:
    """The entries of `AuditLog.entries` that are not pruned."""
    for index, content, leaf in rows:
        if content is not None:
            yield Sealed.parse(index, content, leaf)
