"""Puts one notification where people look for it: the bell, and what is to be mailed, within a transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.db.ids import uuid7
from wardlight.notifications import mail_store, store
from wardlight.notifications.model import Channel, Definition, LetterState, Mail, Preference


@dataclass(frozen=True, slots=True)
class Telling:
    """What is to be told. people: only these, if they may be told; None for all who may.

    data: ids, counts and times by placeholder, and `application` where a text names one. release: the study that it
    is about. about: what gathers in one row.
    """

    definition: Definition
    people: Collection[str] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    release: UUID | None = None
    about: str = ""


def tell(tx: Connection, institution: UUID, one: Telling, digest_hour: int | None) -> set[str]:
    """Tell it to whom it concerns and who wants it; returns whose bell changed. digest_hour: None where no mail is."""
    definition = one.definition
    people = store.audience(tx, institution, definition.permission, one.people)
    chosen = store.preferences(tx, institution, *definition.key)
    wanted = {person: chosen.get(person, default(definition)) for person in people}
    ringing = {person for person, want in wanted.items() if want.bell and Channel.BELL in definition.channels}
    _ring(tx, institution, one, ringing)
    if digest_hour is not None and Channel.MAIL in definition.channels:
        mailed = {person: want.mail for person, want in wanted.items() if want.mail is not Mail.NONE}
        _post(tx, institution, one, mailed, digest_hour)
    return ringing


def default(definition: Definition) -> Preference:
    """What those get who chose nothing: no mail."""
    return Preference(definition.bell, Mail.NONE)


def _ring(tx: Connection, institution: UUID, one: Telling, people: Collection[str]) -> None:
    before: dict[str, int] = {}
    if one.definition.gathers:
        before = store.gathered(tx, institution, people, one.definition.key, one.about)
    rows = []
    for person in sorted(people):
        row = _row(institution, one, person) | {"about": one.about}
        if person in before:
            row["data"] = {**one.data, "count": before[person] + int(one.data.get("count", 1))}
            row["release"] = None
        rows.append(row)
    store.add_items(tx, rows)


def _post(
    tx: Connection, institution: UUID, one: Telling, people: Mapping[str, Mail], digest_hour: int
) -> None:
    now = clock.unix_ms()
    mail_store.add(
        tx,
        [
            _row(institution, one, person)
            | {
                "digest": people[person] is Mail.DAILY,
                "state": LetterState.PENDING.value,
                "attempts": 0,
                "next_ms": next_digest_ms(digest_hour) if people[person] is Mail.DAILY else now,
                "reason": "",
            }
            for person in sorted(store.with_address(tx, institution, people))
        ],
    )


def next_digest_ms(hour: int) -> int:
    """When the next daily digest goes out, at this hour of UTC."""
    now = clock.now()
    at = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return int((at if at > now else at + timedelta(days=1)).timestamp() * 1000)


def _row(institution: UUID, one: Telling, person: str) -> dict[str, Any]:
    definition = one.definition
    return {
        "id": uuid7(),
        "institution": institution,
        "person": person,
        "application": definition.application,
        "name": definition.name,
        "version": definition.version,
        "permission": definition.permission.value,
        "data": dict(one.data),
        "release": one.release,
        "created_ms": clock.unix_ms(),
    }
