"""What may be taken in for whom: no agreement, no data (R2.1)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.agreements import store
from wardlight.agreements.model import IMAGES, Agreement, Level
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.identity import store as identity

#: HL7 v3 PurposeOfUse codes that may be agreed on (audit.md section 1).
PURPOSES: Final = frozenset(
    {
        "TREAT",
        "ETREAT",
        "CAREMGT",
        "HRESCH",
        "CLINTRCH",
        "HQUALIMP",
        "HOPERAT",
        "HPAYMT",
        "PUBHLTH",
        "PATRQT",
        "HLEGAL",
        "HSYSADMIN",
        "TRAIN",
    }
)
# `gdpr:` with articles, or `hipaa:` with a category, as the audit trail spells them.
_BASIS: Final = re.compile(r"(gdpr|hipaa):[a-z0-9.+_-]{1,80}")


class Agreements:
    """Agreements of institutions with applications, each a row of versions of which the newest holds."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def create(
        self,
        institution: UUID,
        application: str,
        levels: Iterable[Level],
        *,
        legal_basis: str,
        purposes: Iterable[str],
        attested_by: str,
        by: Actor,
    ) -> Agreement:
        """Agree, or amend what was agreed: the same institution and application get a new version.

        Raises `bad-request`, and `not-found` for an application that is not registered.
        """
        allowed, agreed = frozenset(levels), frozenset(purposes)
        if not allowed or not agreed or not agreed <= PURPOSES or not _BASIS.fullmatch(legal_basis):
            raise WardlightError("bad-request", "levels, purposes or legal basis are missing or unknown")
        if not attested_by.isprintable() or not 0 < len(attested_by) <= 200:
            raise WardlightError("bad-request", "attested_by must be 1 to 200 printable characters")
        try:
            with self._database.begin(institution) as tx:
                if application != IMAGES and not identity.applications(tx, application):
                    raise WardlightError("not-found", "there is no such application")
                before = store.current(tx, institution, application)
                row = Agreement(
                    before.id if before else f"agr-{secrets.token_hex(6)}",
                    institution,
                    application,
                    before.version + 1 if before else 1,
                    allowed,
                    legal_basis,
                    agreed,
                    attested_by,
                    clock.unix_ms(),
                )
                store.add(tx, row)
                self._recorder.write(tx, institution, _event(row, by))
        except IntegrityError:
            raise WardlightError("conflict", "the agreement was amended at the same moment") from None
        return row

    def list(self, institution: UUID) -> list[Agreement]:
        """All versions of an institution's agreements, newest first for each application."""
        with self._database.read(institution) as tx:
            return store.versions(tx, institution)

    def show(self, institution: UUID, application: str) -> Agreement:
        """The agreement that holds. Raises `no-agreement`."""
        with self._database.read(institution) as tx:
            row = store.current(tx, institution, application)
        if row is None:
            raise WardlightError("no-agreement")
        return row

    def require(self, institution: UUID, application: str, level: Level) -> Agreement:
        """The agreement under which data of this level may be taken in. Raises `no-agreement`, `level-not-agreed`."""
        row = self.show(institution, application)
        if level not in row.levels:
            raise WardlightError("level-not-agreed")
        return row


def _event(row: Agreement, by: Actor) -> Event:
    amended = row.version > 1
    return Event(
        Action.AGREEMENT_AGREEMENT_AMEND if amended else Action.AGREEMENT_AGREEMENT_CREATE,
        by,
        target=Target("agreement", id=row.id, version=row.version),
        agreement=(row.id, row.version),
        detail={
            "application": row.application,
            "levels": [level.value for level in Level if level in row.levels],
            "purposes": sorted(row.purposes),
            "basis": row.legal_basis,
        },
    )
