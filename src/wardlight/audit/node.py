"""What a process tells the operator's log of itself: that it runs and ends, other settings, migrations, its clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection, insert, select, update

from wardlight import __version__, clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Change, Event, Target
from wardlight.audit.recorder import OPERATOR, Recorder
from wardlight.audit.references import base64url
from wardlight.audit.tables import node as node_table
from wardlight.db.engine import Database
from wardlight.db.schema import SCHEMA_VERSION

#: A node whose clock is further from the database's refuses to serve (audit.md section 2), in milliseconds.
MAX_SKEW_MS: Final = 2000
#: Changes that fit into one entry, and characters of a value in it.
_CHANGES: Final = 64
_LONGEST: Final = 100


class NodeTrail:
    """The entries of one process of a node. process: `web`, `worker` and so on."""

    def __init__(self, database: Database, recorder: Recorder, process: str) -> None:
        self._database = database
        self._recorder = recorder
        self._process = process
        self._actor = Actor("system", process)

    def start(self, settings: Mapping[str, str], secret: frozenset[str]) -> None:
        """The process begins to serve, with these settings; what differs from the node's last start is an entry, too.

        secret: names of settings whose values do not go into the trail.
        """
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).digest()
        started = Event(
            Action.PLATFORM_NODE_START,
            self._actor,
            target=Target("node", id=self._recorder.node),
            detail={"process": self._process, "version": __version__, "settings": base64url(digest)},
        )
        with self._database.begin() as tx:
            changes = self._changes(tx, settings, secret)
            for start in range(0, len(changes), _CHANGES):
                self._recorder.write(
                    tx,
                    None,
                    Event(
                        Action.PLATFORM_SETTING_CHANGE,
                        self._actor,
                        target=Target("node", id=self._recorder.node),
                        change=changes[start : start + _CHANGES],
                    ),
                )
            self._recorder.write(tx, None, started)

    def stop(self) -> None:
        """The process ends in order."""
        stopped = Event(
            Action.PLATFORM_NODE_STOP,
            self._actor,
            target=Target("node", id=self._recorder.node),
            detail={"process": self._process},
        )
        with self._database.begin() as tx:
            self._recorder.write(tx, None, stopped)

    def _changes(
        self, tx: Connection, settings: Mapping[str, str], secret: frozenset[str]
    ) -> tuple[Change, ...]:
        """What changed since this node's last start, which is forgotten; nothing where another process has told it."""
        new = json.dumps(settings, sort_keys=True)
        name = self._recorder.node
        old = tx.execute(select(node_table.c.settings).where(node_table.c.name == name)).scalar()
        if old is None:
            tx.execute(insert(node_table), {"name": name, "settings": new})
            return ()
        replace = update(node_table).where(node_table.c.name == name, node_table.c.settings == old)
        if new == old or tx.execute(replace.values(settings=new)).rowcount != 1:
            return ()
        return changes(json.loads(old), settings, secret)


def changes(
    old: Mapping[str, str], new: Mapping[str, str], secret: frozenset[str] = frozenset()
) -> tuple[Change, ...]:
    """What differs, by name; of secret ones only that they do."""
    return tuple(
        Change(name)
        if name in secret
        else Change(name, _short(old.get(name)) or None, _short(new.get(name)) or None)
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def _short(value: str | None) -> str:
    return (value or "")[:_LONGEST]


def migrations(recorder: Recorder, actor: Actor) -> Callable[[Connection, int | None, int], None]:
    """Writes each change of the schema into the operator's log, in its transaction: for `schema.ensure`."""

    def migrated(tx: Connection, before: int | None, after: int) -> None:
        if not recorder.has_operator_log(tx):
            if after != SCHEMA_VERSION:
                return  # Nobody has used this database yet, and its log cannot be made before its tables are.
            recorder.open_log(tx, None, OPERATOR)
        event = Event(Action.PLATFORM_MIGRATION_RUN, actor, change=(Change("schema", before, after),))
        recorder.write(tx, None, event)

    return migrated


class ClockCheck:
    """Compares this node's clock with the database's. Where they are apart, nothing can be recorded, nor served."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def check(self) -> None:
        """Raise `unavailable` where the clocks are more than 2 s apart; the first time that is an entry."""
        skew = self._database.clock_skew_ms(clock.unix_ms)
        if abs(skew) <= MAX_SKEW_MS:
            self._recorder.clock_off = False
            return
        if not self._recorder.clock_off:
            event = Event(
                Action.PLATFORM_CLOCK_SKEW,
                Actor("system", "clock"),
                target=Target("node", id=self._recorder.node),
                counts={"milliseconds": skew},
            )
            with self._database.begin() as tx:
                self._recorder.write(tx, None, event)
            self._recorder.clock_off = True
        self._recorder.require_clock()
