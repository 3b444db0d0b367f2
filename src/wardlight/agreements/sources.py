"""Where data of third parties is from: recorded before any of it is taken in (R2.4)."""

from __future__ import annotations

from uuid import UUID

from wardlight import clock
from wardlight.agreements import legal
from wardlight.agreements import sources_store as store
from wardlight.agreements.model import Source, SourceKind
from wardlight.agreements.service import named, require_text
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.classification.model import DataClass
from wardlight.db.engine import Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError


class Sources:
    """Sources of an institution. They are only added: what was taken in refers to them."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def record(
        self,
        institution: UUID,
        kind: SourceKind,
        name: str,
        *,
        legal_basis: str,
        attested_by: str,
        document: str,
        anonymised: bool = False,
        evidence: str = "",
        by: Actor,
    ) -> Source:
        """Record who provides data, on which legal basis, who attested it and where.

        anonymised: the source declares its data anonymised already, which needs evidence (R1.4). Raises `bad-request`.
        """
        texts = (("name", name, 200), ("attested_by", attested_by, 200), ("document", document, 500))
        for what, text, length in texts:
            require_text(text, what, length)
        if anonymised or evidence:
            require_text(evidence, "evidence", 500)
        classes = {DataClass.IMAGE_ANONYMISED} if anonymised else {DataClass.HEALTH}
        legal.require_basis(legal_basis, (), classes, ())
        row = Source(
            id=uuid7(),
            institution=institution,
            kind=kind,
            name=name,
            legal_basis=legal_basis,
            attested_by=attested_by,
            document=document,
            anonymised=anonymised,
            evidence=evidence,
            created_ms=clock.unix_ms(),
            created_by=named(by),
        )
        event = Event(
            Action.AGREEMENT_SOURCE_RECORD,
            by,
            target=Target("source", id=row.id.hex),
            detail={"kind": kind.value, "basis": legal_basis, "anonymised": anonymised},
        )
        with self._database.begin(institution) as tx:
            store.add(tx, row)
            self._recorder.write(tx, institution, event)
        return row

    def list(self, institution: UUID) -> list[Source]:
        """Sources of an institution, oldest first."""
        with self._database.read(institution) as tx:
            return store.sources(tx, institution)

    def show(self, institution: UUID, source: UUID) -> Source:
        """One source. Raises `not-found`."""
        with self._database.read(institution) as tx:
            rows = store.sources(tx, institution, source)
        if not rows:
            raise WardlightError("not-found", "there is no such source")
        return rows[0]
