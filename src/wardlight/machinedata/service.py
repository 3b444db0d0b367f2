"""Machine data (R6.8): taken in under an agreement or by the institution's own receivers, found, ended, told of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access.model import Operation, PrincipalKind, Scope
from wardlight.access.service import Access
from wardlight.agreements import entitlements_store
from wardlight.agreements.model import IMAGES, Agreement
from wardlight.agreements.service import Agreements
from wardlight.archive import machine_store as store
from wardlight.archive.machine_store import Hour, Seen, Segment
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.identity.rates import Rates
from wardlight.identity.service import actor_of, behalf_of
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind
from wardlight.machinedata.blocks import directory
from wardlight.machinedata.intake import Body, Form, told
from wardlight.machinedata.model import BODY_BYTES, CLASSES
from wardlight.machinedata.records import source_name
from wardlight.machinedata.search import SCANNED_BYTES, Asked, Page, Search
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectStore, ObjectWriter

#: Requests of one sender, at once and in so many seconds; and megabytes.
_RATE: Final = (600, 60)
_RATE_MB: Final = (1024, 60)
#: Bytes of records that a chart's data are looked for in, and points of it.
_SERIES_BYTES: Final = 64 << 20
_POINTS: Final = 5000


@dataclass(frozen=True, slots=True)
class Standing:
    """On what a sender's data rests. application: whose it is; "" for the institution's own receivers and people."""

    application: str
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who brings something. name: `kind:id`. event: the entry of its request, to be completed."""

    institution: UUID
    name: str
    standing: Standing
    event: Event


class Key(NamedTuple):
    """Under what a body is written. fresh: nothing else is."""

    id: UUID
    key: bytes
    month: str
    fresh: bool


class Intake:
    """One body. `feed` what comes, `finish` for the segment, `abort` in any case."""

    def __init__(
        self, service: MachineData, sender: Sender, name: str, body: Body, key: Key, writer: ObjectWriter
    ) -> None:
        self.body = body
        self._service = service
        self._sender = sender
        self._name = name
        self._key = key
        self._writer = writer
        self._kept = False

    def feed(self, batch: list[bytes]) -> None:
        """The next pieces."""
        for piece in batch:
            self.body.feed(piece)

    def finish(self, last: list[bytes]) -> Segment:
        """Durable, findable, and in the trail on return. Raises what `Body.finish` does."""
        self.feed(last)
        self.body.finish()
        row = self._service.keep(self._sender, self._name, self.body, self._key, self._writer)
        self._kept = True
        return row

    def abort(self) -> None:
        """Drop what is not finished. Harmless when it is, and at a second call."""
        self._writer.abort()
        if self._key.fresh and not self._kept:
            self._service.drop(self._sender.institution, self._key)


class MachineData:
    """One for the process; threads share it."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        keystore: Keystore,
        objects: ObjectStore,
        access: Access,
        agreements: Agreements,
        rates: Rates,
        total_bytes: int,
    ) -> None:
        """total_bytes: of objects that are held of one institution."""
        self._database = database
        self._recorder = recorder
        self._keystore = keystore
        self._objects = objects
        self._access = access
        self._agreements = agreements
        self._rates = rates
        self._total = total_bytes
        self._search = Search(database, keystore, objects)

    # ---- what comes in ----

    def begin(
        self, scope: Scope, name: str, form: Form, source: str, *, gzip: bool = False, refuse: bool = False,
        length: int = 0,
    ) -> Intake:  # fmt: skip
        """Take in a body of this class. length: as the sender announces it.

        Raises `bad-request` for a class or source that is none, `forbidden` or what `Agreements.require` does where the
        sender has no standing, `rate-limited`, `too-large`,
        `out-of-resources` where the institution's share is used up.
        """
        scope.require(Operation.MACHINE_SEND)
        if name not in CLASSES:
            raise WardlightError("bad-request", f"class is one of {', '.join(CLASSES)}", "class")
        if source and source_name(source, "") != source:
            raise WardlightError("bad-request", "source is a name of letters, digits and ._/-", "source")
        if length > BODY_BYTES:
            raise WardlightError("too-large", f"the body is larger than {BODY_BYTES >> 20} MiB")
        sender = Sender(
            scope.institution,
            f"{scope.principal.kind.value}:{scope.principal.id}",
            self.standing(scope, name),
            event_of(scope, Action.MACHINE_DATA_STORE),
        )
        with self._database.begin(scope.institution) as tx:
            self._rates.take(tx, f"machine:{scope.institution.hex}:{sender.name}", *_RATE)
            bulk = f"machine-mb:{scope.institution.hex}:{sender.name}"
            self._rates.take(tx, bulk, *_RATE_MB, count=max(1, length >> 20))
        usual = source or source_name(scope.principal.id, scope.principal.kind.value)
        return self._open(sender, name, form, usual, gzip=gzip, refuse=refuse)

    def begin_here(
        self, institution: UUID, name: str, form: Form, source: str, *, by: Actor, refuse: bool = False
    ) -> Intake:
        """The same for whoever may run commands on the platform's machine, in the trail."""
        standing = Standing("", self._agreements.require(institution, IMAGES, None))
        sender = Sender(institution, f"{by.kind}:{by.id}", standing, Event(Action.MACHINE_DATA_STORE, by))
        return self._open(sender, name, form, source_name(source, "upload"), gzip=False, refuse=refuse)

    def _open(
        self, sender: Sender, name: str, form: Form, source: str, *, gzip: bool, refuse: bool
    ) -> Intake:
        with self._database.read(sender.institution) as tx:
            if store.total(tx, sender.institution) >= self._total:
                raise WardlightError(
                    "out-of-resources", "the institution's share for machine data is used up"
                )
        owner = sender.standing.application
        key = self._key(sender.institution, owner, CLASSES[name].value)
        writer = self._objects.create(key.key, key.id, ObjectKind.MACHINE_DATA)
        body = Body(writer, form, source, gzip=gzip, refuse=refuse)
        return Intake(self, sender, name, body, key, writer)

    def standing(self, scope: Scope, name: str) -> Standing:
        """On what this sender's data of a class rests."""
        principal = scope.principal
        if principal.kind is PrincipalKind.RECEIVER:
            return Standing("", None)
        if principal.kind is PrincipalKind.PERSON:
            return Standing("", self._agreements.require(scope.institution, IMAGES, None))
        return Standing(principal.id, self._agreed(scope, name))

    def _agreed(self, scope: Scope, name: str) -> Agreement:
        """The agreement of an application for a class. Raises `no-agreement`, … and `forbidden`."""
        found = self._agreements.require(scope.institution, scope.principal.id, None)
        with self._database.read() as tx:
            asked = entitlements_store.newest(tx, scope.principal.id)
        reason = "" if CLASSES[name] in found.classes else "class-not-agreed"
        if asked is None or CLASSES[name] not in asked.classes:
            reason = "class-not-requested"
        if scope.principal.purpose not in found.purposes:
            reason = "purpose-not-agreed"
        if reason:
            self._access.deny(
                scope.principal, scope.action, reason, request=scope.request, address=scope.address
            )
            raise WardlightError("forbidden", reason=reason)
        return found

    def keep(self, sender: Sender, name: str, body: Body, key: Key, writer: ObjectWriter) -> Segment:
        """Commit a body's object, and write its row, with its entry in the trail."""
        data_class, now = CLASSES[name], clock.unix_ms()
        stored = writer.commit()
        agreement = sender.standing.agreement
        row = Segment(
            id=stored.object_id,
            institution=sender.institution,
            key_id=key.id,
            application=sender.standing.application,
            agreement=agreement.id if agreement else "",
            version=agreement.version if agreement else 0,
            sender=sender.name,
            data_class=data_class.value,
            sources=body.named,
            size=stored.size,
            length=body.length,
            records=body.records,
            masked=body.masked,
            first_ms=min(one.first_ms for one in body.blocks),
            last_ms=max(one.last_ms for one in body.blocks),
            severity=max(one.severity for one in body.blocks),
            directory=directory(body.blocks),
            created_ms=now,
        )
        event = replace(
            sender.event,
            target=Target("machine-data", id=row.id.hex),
            agreement=(agreement.id, agreement.version) if agreement else None,
            classes=(data_class.value,),
            counts={"records": body.records, "bytes": body.length, "masked": body.masked},
            detail={"class": name, "form": body.form.value, "detectors": told(body.found)},
        )
        try:
            with self._database.begin(sender.institution) as tx:
                self._name_key(tx, row, key)
                store.add(tx, row)
                store.count(tx, row, body.hours)
                self._recorder.write(tx, sender.institution, event)
        except BaseException:
            self._objects.delete(stored.object_id)
            raise
        return row

    def _key(self, institution: UUID, application: str, data_class: str) -> Key:
        """The key of what comes of this class this month: with it all of that ends."""
        month = _month(clock.unix_ms())
        with self._database.read(institution) as tx:
            key_id = store.key_of(tx, institution, application, data_class, month)
        if key_id is not None:
            return Key(key_id, self._keystore.get_key(institution, key_id), month, fresh=False)
        # It is named by the transaction of what is written under it.
        key_id, key = self._keystore.create_key(institution, KeyKind.MACHINE)
        return Key(key_id, key, month, fresh=True)

    def _name_key(self, tx: Connection, row: Segment, key: Key) -> None:
        """Raises `unavailable` where the key ended while the body came."""
        place = (row.institution, row.application, row.data_class, key.month)
        named = store.key_of(tx, *place, lock=True)
        if named is None and key.fresh:
            store.add_key(tx, *place, key.id)
        elif named != key.id and not key.fresh:
            raise WardlightError("unavailable", "send it again")

    def drop(self, institution: UUID, key: Key) -> None:
        """Destroy a key under which nothing was written."""
        self._keystore.destroy_key(institution, key.id)

    # ---- what is looked at ----

    def seen(self, scope: Scope, names: Sequence[str]) -> Seen:
        """What this scope may look at of these classes; none named: all that it may.

        People who may see everything of the institution's; an application its own and the institution's, of the classes
        that were agreed on with it, and no other application's. Raises `bad-request`, `forbidden`.
        """
        scope.require(Operation.MACHINE)
        if not set(names) <= CLASSES.keys():
            raise WardlightError("bad-request", f"class is one of {', '.join(CLASSES)}", "class")
        if scope.principal.kind is not PrincipalKind.APPLICATION:
            asked = names or tuple(CLASSES)
            return Seen(scope.institution, frozenset(CLASSES[name].value for name in asked))
        if not names:
            agreed = self._agreements.require(scope.institution, scope.principal.id, None).classes
            names = [name for name, one in CLASSES.items() if one in agreed] or ["log"]
        for name in names:
            self._agreed(scope, name)
        classes = frozenset(CLASSES[name].value for name in names)
        return Seen(scope.institution, classes, frozenset({"", scope.principal.id}))

    def find(self, scope: Scope, names: Sequence[str], asked: Asked, query: str) -> Page:
        """Records, newest first. query: what was asked for as the trail tells it, without values."""
        seen = self.seen(scope, names)
        return self._found(seen, asked, query, event_of(scope, Action.MACHINE_DATA_QUERY))

    def find_here(
        self, institution: UUID, names: Sequence[str], asked: Asked, query: str, *, by: Actor
    ) -> Page:
        """The same for whoever may run commands on the platform's machine, in the trail."""
        classes = frozenset(CLASSES[name].value for name in names or CLASSES)
        return self._found(Seen(institution, classes), asked, query, Event(Action.MACHINE_DATA_QUERY, by))

    def _found(self, seen: Seen, asked: Asked, query: str, event: Event, most: int = SCANNED_BYTES) -> Page:
        page = self._search.page(seen, asked, most)
        self._tell(seen, event, len(page.found), query)
        return page

    def _tell(self, seen: Seen, event: Event, results: int, query: str) -> None:
        told = replace(
            event,
            classes=tuple(sorted(seen.classes)),
            counts={"results": results},
            detail={"query": query},
        )
        with self._database.begin(seen.institution) as tx:
            self._recorder.write(tx, seen.institution, told)

    def hours(self, scope: Scope, names: Sequence[str], from_ms: int, to_ms: int) -> list[Hour]:
        """How much came, by hour."""
        seen = self.seen(scope, names)
        with self._database.read(scope.institution) as tx:
            found = store.hours(tx, seen, from_ms, to_ms)
        self._tell(seen, event_of(scope, Action.MACHINE_DATA_QUERY), len(found), "hours")
        return found

    def modalities(self, scope: Scope, from_ms: int, to_ms: int) -> dict[str, int]:
        """Studies that came, by modality; for people of the institution alone."""
        if scope.principal.kind is not PrincipalKind.PERSON:
            return {}
        with self._database.read(scope.institution) as tx:
            return store.modalities(tx, scope.institution, from_ms, to_ms)

    def points(self, scope: Scope, metric: str, source: str, from_ms: int, to_ms: int) -> Page:
        """The newest points of a metric."""
        asked = Asked(from_ms, to_ms, source=source, exact=metric, limit=_POINTS)
        seen = self.seen(scope, ["status"])
        event = event_of(scope, Action.MACHINE_DATA_QUERY)
        return self._found(seen, asked, "metric", event, _SERIES_BYTES)

    def delete(self, scope: Scope, id_: UUID) -> None:
        """End one segment: nobody sees it from now on, its bytes follow. Raises `not-found`."""
        seen = self.seen(scope, ())
        with self._database.begin(scope.institution) as tx:
            row = store.by_id(tx, seen, id_)
            if row is None or not store.end(tx, id_, clock.unix_ms()):
                raise WardlightError("not-found")
            self._recorder.write(
                tx, scope.institution, deleted(event_of(scope, Action.MACHINE_DATA_DELETE), row)
            )


def event_of(scope: Scope, action: Action) -> Event:
    """The entry of a request, to be completed."""
    principal = scope.principal
    return Event(
        action,
        actor_of(principal),
        behalf=behalf_of(principal),
        purpose=scope.purpose,
        address=scope.address,
        request=scope.request,
        token=principal.token_ref,
    )


def deleted(event: Event, row: Segment, reason: str = "") -> Event:
    """What the trail is told where a segment ends."""
    return replace(
        event,
        reason=reason,
        target=Target("machine-data", id=row.id.hex),
        classes=(row.data_class,),
        counts={"records": row.records},
        detail={"class": row.data_class},
    )


def _month(now_ms: int) -> str:
    return clock.timestamp_ms(now_ms)[:7]
