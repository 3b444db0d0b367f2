"""A partner application beside a running server: registered, agreed with, with studies that were granted to it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from bench.process import Server
from wardlight import bootstrap
from wardlight.access.model import Grant, Operation, Principal, PrincipalKind, Role, Scope
from wardlight.agreements.model import Level, Terms
from wardlight.archive.deletion import Asked
from wardlight.audit.actions import Action
from wardlight.identity.issuing import AccessTokens
from wardlight.identity.model import TokenScope
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.ingest.service import Ingest, Origin
from wardlight.settings import Settings

_REQUEST = "0" * 32
_SETTLED_S = 120.0


@dataclass(slots=True)
class Partner:
    """An application. platform: the server's data folder, opened a second time."""

    platform: bootstrap.Platform
    institution: UUID
    id: str
    token: str
    #: What `delete` deletes.
    study: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Of its requests."""
        return {"Authorization": f"Bearer {self.token}"}

    def store(self, files: Iterable[Iterable[bytes | memoryview]]) -> None:
        """Files, each in pieces, as its receiver would bring them, and their grants."""
        receiver = self.platform.identity.receivers(self.institution)[0]
        sender = Principal(
            PrincipalKind.RECEIVER,
            receiver.id,
            self.institution,
            scopes=frozenset({TokenScope.RECEIVER_STORE}),
        )
        ingest = Ingest(self.platform.archive, self.platform.access, self.platform.agreements)
        before = len(self.grants())
        origin = Origin(sender, _REQUEST, "127.0.0.1", self.id, Level.IDENTIFIED)
        request = ingest.open(origin)
        for pieces in files:
            request.begin()
            for piece in pieces:
                request.write(memoryview(piece))
            request.end()
        refused = [outcome.error for outcome in request.finish() if outcome.error]
        if refused:
            raise RuntimeError(f"not stored: {refused[0]}")
        deadline = time.monotonic() + _SETTLED_S
        while len(self.grants()) == before:
            if time.monotonic() > deadline:
                raise RuntimeError("no grant was made")
            time.sleep(0.2)

    def grants(self) -> list[Grant]:
        """Its live grants, newest first."""
        scope = self._scope(Action.ACCESS_GRANT_READ, Operation.GRANTS)
        return self.platform.grants.listed(scope, application=self.id)

    def revoke(self, grant: Grant) -> None:
        """End a grant."""
        self.platform.grants.revoke(self._scope(Action.ACCESS_GRANT_REVOKE, Operation.REVOKE), grant.id)

    def delete(self) -> None:
        """Delete the study."""
        scope = self._scope(Action.ARCHIVE_STUDY_DELETE, Operation.DELETE)
        self.platform.deletion.begin(self.institution, self.study, Asked.of(scope))

    def _scope(self, action: Action, operation: Operation) -> Scope:
        who = Principal(
            PrincipalKind.PERSON,
            "u-bench",
            self.institution,
            Role.ADMINISTRATOR,
            frozenset({TokenScope.MANAGE}),
        )
        return self.platform.access.scope_for(who, action, operation=operation, request=_REQUEST)


@contextmanager
def partner(server: Server, id_: str = "bench_reader_test") -> Iterator[Partner]:
    """An application of the demo's institution."""
    platform = bootstrap.platform(Settings(data_dir=server.data, demo=True), create=False)
    try:
        institution = platform.identity.institution("demo")
        platform.applications.register(id_, "Bench", "Bench", by=BY)
        platform.applications.approve(id_, by=BY)
        platform.entitlements.request(
            id_,
            purposes=("TREAT",),
            level=Level.IDENTIFIED,
            regions=(institution.region,),
            declared_by="Bench",
            document="none",
            by=BY,
        )
        terms = Terms(
            levels=frozenset(Level),
            legal_basis="gdpr:6.1.e+9.2.h",
            purposes=frozenset({"TREAT"}),
            attested_by="Bench",
            document="none",
        )
        platform.agreements.record(institution.id, id_, terms, by=BY)
        platform.entitlements.subscribe(institution.id, id_, by=BY)
        tokens = AccessTokens(platform.database, platform.recorder)
        token = tokens.give(platform.applications.show(id_), institution.id, purpose="TREAT", by=BY)
        yield Partner(platform, institution.id, id_, token)
    finally:
        platform.close()
