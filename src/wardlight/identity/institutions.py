"""Institutions: made, changed, suspended and closed; and the one that stands for the operators."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Change, Event, Target
from wardlight.audit.recorder import OPERATOR, Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.identity import store
from wardlight.identity.model import ACTIVE, ANYWHERE, OPERATORS, Institution
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind

#: States beside active: may come back, and may not.
SUSPENDED: Final = "suspended"
CLOSED: Final = "closed"

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_MOST_NETWORKS: Final = 64
_STATES: Final = {
    ACTIVE: Action.PLATFORM_INSTITUTION_CHANGE,
    SUSPENDED: Action.PLATFORM_INSTITUTION_SUSPEND,
    CLOSED: Action.PLATFORM_INSTITUTION_CLOSE,
}


class Institutions:
    """The tenants. Every change is an audit entry, in the institution's log and in the operator's."""

    def __init__(self, database: Database, recorder: Recorder, keystore: Keystore) -> None:
        self._database = database
        self._recorder = recorder
        self._keystore = keystore

    def create_institution(
        self, slug: str, name: str, region: str, networks: tuple[str, ...] = ANYWHERE, *, by: Actor
    ) -> Institution:
        """Make a tenant with its keys and its audit log. Raises `bad-request`, `already-exists`."""
        if not _SLUG.fullmatch(slug) or slug == OPERATOR:
            raise WardlightError("bad-request", "a slug is 1 to 40 of a-z, 0-9 and inner hyphens")
        printable(name, "name")
        where = checked_networks(networks)
        row = Institution(uuid4(), slug, name, region, ACTIVE, clock.unix_ms(), where)
        # Keys come first: a row must never name an institution whose data could not be sealed.
        self._keystore.ensure_institution(row.id)
        for kind in (KeyKind.BLIND_INDEX, KeyKind.AUDIT_REFERENCE):
            self._keystore.institution_key(row.id, kind)
        event = Event(
            Action.PLATFORM_INSTITUTION_CREATE,
            by,
            target=Target("institution", id=str(row.id)),
            request=secrets.token_hex(16),
            detail={"region": region},
        )
        try:
            with self._database.begin(EVERYWHERE) as tx:
                store.add_institution(tx, row)
                self._recorder.open_log(tx, row.id, slug)
                self._recorder.write_to_all(tx, (row.id, None), event)
        except IntegrityError:
            raise WardlightError("already-exists", "an institution has this slug") from None
        return row

    def ensure_operator(self) -> None:
        """Make the institution that stands for the operators, where there is none. It has people and nothing else."""
        with self._database.read(EVERYWHERE) as tx:
            if store.institutions(tx, id_=OPERATORS):
                return
        self._keystore.ensure_institution(OPERATORS)
        row = Institution(OPERATORS, OPERATOR, "Operator", "", ACTIVE, clock.unix_ms(), " ".join(ANYWHERE))
        try:
            with self._database.begin(EVERYWHERE) as tx:
                store.add_institution(tx, row)
        except IntegrityError:
            pass  # Another process was first.

    def institution(self, slug_or_id: str) -> Institution:
        """The institution of this slug or id; `operator` is the operators'. Raises `not-found`."""
        with self._database.read(EVERYWHERE) as tx:
            try:
                rows = store.institutions(tx, id_=UUID(slug_or_id))
            except ValueError:
                rows = store.institutions(tx, slug=slug_or_id)
        if not rows:
            raise WardlightError("not-found", "there is no such institution")
        return rows[0]

    def institutions(self) -> list[Institution]:
        """All tenants; that of the operators is none."""
        with self._database.read(EVERYWHERE) as tx:
            return [row for row in store.institutions(tx) if row.id != OPERATORS]

    def change_institution(
        self,
        row: Institution,
        *,
        by: Actor,
        name: str | None = None,
        networks: tuple[str, ...] | None = None,
    ) -> Institution:
        """Change what is given. Networks hold for the next request. Raises `bad-request`, `conflict`."""
        if name is not None:
            printable(name, "name")
        wanted = replace(
            row,
            name=row.name if name is None else name,
            networks=row.networks if networks is None else checked_networks(networks),
        )
        changes = tuple(
            Change(path, getattr(row, path), getattr(wanted, path))
            for path in ("name", "networks")
            if getattr(row, path) != getattr(wanted, path)
        )
        return self._store(row, wanted, Action.PLATFORM_INSTITUTION_CHANGE, changes, by) if changes else row

    def set_state(self, row: Institution, state: str, *, by: Actor) -> Institution:
        """Suspend an institution, close it, or let it in again: for the next request of all its people and tokens.

        What is closed stays so: raises `conflict`.
        """
        if state not in _STATES:
            raise WardlightError("bad-request", f"a state is one of {', '.join(_STATES)}")
        if row.state == state:
            return row
        changes = (Change("state", row.state, state),)
        return self._store(row, replace(row, state=state), _STATES[state], changes, by)

    def _store(
        self, before: Institution, row: Institution, action: Action, changes: tuple[Change, ...], by: Actor
    ) -> Institution:
        if row.id == OPERATORS:
            raise WardlightError("bad-request", "the operators' institution is not changed")
        event = Event(
            action,
            by,
            target=Target("institution", id=str(row.id)),
            request=secrets.token_hex(16),
            change=changes,
        )
        with self._database.begin(EVERYWHERE) as tx:
            if not store.change_institution(tx, before, row, CLOSED):
                raise WardlightError("conflict", "the institution is closed, or was changed meanwhile")
            self._recorder.write_to_all(tx, (row.id, None), event)
        return row


def checked_networks(networks: tuple[str, ...]) -> str:
    """CIDRs as they are kept. Raises `bad-request`."""
    if not 0 < len(networks) <= _MOST_NETWORKS:
        raise WardlightError("bad-request", f"there are 1 to {_MOST_NETWORKS} networks")
    try:
        return " ".join(str(ipaddress.ip_network(one)) for one in networks)
    except ValueError:
        raise WardlightError("bad-request", "a network is a CIDR, such as 192.0.2.0/24") from None


def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address lies in one of the networks. One that is not known lies in none but the whole internet."""
    if set(ANYWHERE) <= set(networks):
        return True
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(one) for one in networks)


def printable(text: str, what: str) -> None:
    """Raise `bad-request` unless it is something that can be shown."""
    if not 0 < len(text) <= 200 or not text.isprintable():
        raise WardlightError("bad-request", f"{what} must be 1 to 200 printable characters")
