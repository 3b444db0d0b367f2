"""The vault: what leads from pseudonyms and new UIDs back to patients (R3.6). It never leaves the hospital.

The pipeline writes the way back of each batch before it sends it, so that no object leaves whose way back is not
durable. Several processes write at once; each remembers what it knows to be there, until somebody erases or merges.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeAlias

from sqlalchemy import Table

from wardlight.agreements.model import Level
from wardlight.deid import uids
from wardlight.deid.harvest import Seen
from wardlight.deid.known import lasting
from wardlight.errors import WardlightError
from wardlight.receiver import vault_tables as tables
from wardlight.receiver.model import Target
from wardlight.receiver.secrets import ReceiverSecrets
from wardlight.receiver.vault_seal import Kind, VaultKeys, elements_of, packed, raw, unpacked
from wardlight.receiver.vault_store import VaultStore

#: So often it is looked whether another process erased or merged, in seconds.
LOOK_S: Final = 0.1
#: Patients, and rows known to be there, that one process remembers.
_PATIENTS: Final = 4096
_ROWS: Final = 16384
#: New rows with their tables, by what they are remembered under.
_Fresh: TypeAlias = dict[object, tuple[Table, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class WayBack:
    """What one object that leaves needs to be found again. Nothing of it is ever shown.

    patient, days, uids: as `Deidentified` has them. study: elements of patient and study as they came, () where the
    vault had them already. new_uid: what stands for an original in this release.
    """

    target: Target
    patient: bytes = field(repr=False)
    pseudonym: bytes = field(repr=False)
    days: int = field(repr=False)
    study_uid: bytes = field(repr=False)
    study: tuple[Seen, ...] = field(repr=False)
    uids: frozenset[bytes] = field(repr=False)
    new_uid: Callable[[bytes], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Release:
    """Whom a pseudonym stands for. days: that dates moved back for it. person: of whom it is now, after merges."""

    target: Target
    patient: bytes = field(repr=False)
    days: int = field(repr=False)
    person: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Study:
    """An original study: its elements as they came first, with the character set of each, and on which day.

    person: whose it is now.
    """

    person: bytes = field(repr=False)
    elements: tuple[Seen, ...] = field(repr=False)
    seen_on: date = field(repr=False)


class Vault:
    """The vault of one receiver; the `Knowledge` of its de-identification. `alias` and `learn` are for one thread.

    Every method raises WardlightError("unavailable") or "out-of-resources" where the database does not serve.
    """

    def __init__(self, path: Path, secrets: ReceiverSecrets, today: Callable[[], date] = date.today) -> None:
        self.store: Final = VaultStore(path)
        self.keys: Final = VaultKeys(secrets)
        self._today = today
        self._lock = threading.Lock()
        self._generation = self.store.generation()
        self._version = -1
        self._look_at = 0.0
        self._aliases: dict[bytes, bytes] = {}
        self._known: dict[bytes, tuple[Seen, ...]] = {}
        self._there: set[object] = set()

    def close(self) -> None:
        """Close the database."""
        self.store.close()

    # Knowledge of de-identification ----------------------------------------------------------------------------

    def alias(self, patient: bytes) -> bytes:
        """Whom a patient was merged into, or the same."""
        if (now := time.monotonic()) >= self._look_at:
            self._look_at = now + LOOK_S
            if (version := self.store.version()) != self._version:
                self._look()
                self._version = version
        found = self._aliases.get(patient)
        if found is None:
            found = self.resolved(patient)
            _remember(self._aliases, patient, found)
        return found

    def learn(self, patient: bytes, seen: Sequence[Seen]) -> tuple[Seen, ...]:
        """What was frozen of the patient at first sight, and of those merged into it. Durable when it returns."""
        known = self._known.get(patient)
        if known is not None:
            return known
        token = self.keys.token(Kind.PERSON, patient)
        if self.store.one(tables.person, token) is None:
            content = packed({"p": patient, "k": lasting(seen)})
            with self.store.database.begin() as tx:
                row = {"token": token, "sealed": self.keys.seal(Kind.PERSON, token, content)}
                self.store.add(tx, tables.person, [row])
        found: set[Seen] = set()
        for one in (token, *self.store.merged_into(token)):
            if (person := self._person(one)) is not None:
                found.update(elements_of(person["k"]))
        known = tuple(sorted(found))
        _remember(self._known, patient, known)
        return known

    def has_study(self, study_uid: bytes) -> bool:
        """Whether this process knows the study's row to be there."""
        with self._lock:
            return (Kind.STUDY, study_uid) in self._there

    # Writing ---------------------------------------------------------------------------------------------------

    def keep(self, ways: Sequence[WayBack]) -> None:
        """Write the way back of objects; it is durable when this returns. Raises `unavailable` also where somebody
        erased or merged meanwhile: the objects are to be protected again."""
        if not ways:
            return
        with self.store.database.begin() as tx:
            generation = self.store.generation(tx)
            with self._lock:
                self._turned(generation)
                fresh: _Fresh = {}
                for way in ways:
                    self._rows(way, fresh)
            for table in (tables.study, tables.release, tables.uid):
                self.store.add(tx, table, [row for of, row in fresh.values() if of is table])
        with self._lock:
            if self._generation == generation:
                if len(self._there) + len(fresh) > _ROWS:
                    self._there.clear()
                self._there.update(fresh)

    def _rows(self, way: WayBack, fresh: _Fresh) -> None:
        """The rows of one object that are not there yet, into `fresh`, under what they are remembered by."""
        keys, there = self.keys, self._there
        study = keys.token(Kind.STUDY, way.study_uid)
        mark: object = (Kind.STUDY, way.study_uid)
        if mark not in there and mark not in fresh:
            if not way.study:
                raise WardlightError("unavailable", "the vault has changed meanwhile")
            content = packed({"e": way.study, "d": self._today().isoformat()})
            person = keys.token(Kind.PERSON, way.patient)
            row = {"token": study, "person": person, "sealed": keys.seal(Kind.STUDY, study, content)}
            fresh[mark] = tables.study, row
        mark = (Kind.RELEASE, way.pseudonym)
        if mark not in there and mark not in fresh:
            token = keys.token(Kind.RELEASE, way.pseudonym)
            content = packed(
                {
                    "p": way.patient,
                    "a": way.target.application,
                    "l": str(way.target.level),
                    "d": way.days,
                }
            )
            row = {
                "token": token,
                "person": keys.token(Kind.PERSON, way.patient),
                "sealed": keys.seal(Kind.RELEASE, token, content),
            }
            fresh[mark] = tables.release, row
        for original in way.uids:
            # The pseudonym tells application and level.
            mark = (way.pseudonym, way.study_uid, original)
            if mark in there or mark in fresh or uids.WELL_KNOWN.fullmatch(original):
                continue
            token = keys.token(Kind.UID, way.new_uid(original))
            row = {"token": token, "study": study, "sealed": keys.seal(Kind.UID, token + study, original)}
            fresh[mark] = tables.uid, row

    def _look(self) -> None:
        generation = self.store.generation()
        with self._lock:
            self._turned(generation)

    def _turned(self, generation: int) -> None:
        """Forget what is remembered if somebody erased or merged since. Called under the lock."""
        if generation != self._generation:
            self._generation = generation
            self._aliases.clear()
            self._known.clear()
            self._there.clear()

    # The way back ----------------------------------------------------------------------------------------------

    def resolved(self, patient: bytes) -> bytes:
        """`alias` without its memory."""
        token = self.keys.token(Kind.PERSON, patient)
        row = self.store.one(tables.alias, token)
        return patient if row is None else self.keys.unseal(Kind.ALIAS, token, row[1])

    def release(self, pseudonym: bytes) -> Release | None:
        """Whom a pseudonym stands for; None where the vault does not know it."""
        token = self.keys.token(Kind.RELEASE, pseudonym)
        row = self.store.one(tables.release, token)
        if row is None:
            return None
        found = unpacked(self.keys.unseal(Kind.RELEASE, token, row[1]))
        patient = raw(found["p"])
        target = Target(found["a"], Level(found["l"]))
        return Release(target, patient, found["d"], self.current(row[0]))

    def pseudonyms(self, patient: bytes) -> list[tuple[Target, bytes]]:
        """Where a patient, with all that was merged with it, was released to, and its pseudonym there.

        No row holds a pseudonym: it is derived anew, and shown only where the row's token says that it was given.
        Raises `object-damaged` where it does not.
        """
        person = self.keys.token(Kind.PERSON, self.resolved(patient))
        found = []
        for token, sealed in self.store.releases([person, *self.store.merged_into(person)]):
            row = unpacked(self.keys.unseal(Kind.RELEASE, token, sealed))
            target = Target(row["a"], Level(row["l"]))
            pseudonym = self.keys.pseudonym(target.application, str(target.level), raw(row["p"]))
            if self.keys.token(Kind.RELEASE, pseudonym) != token:
                raise WardlightError("object-damaged", "a pseudonym of the vault is of another domain")
            found.append((target, pseudonym))
        return sorted(found, key=lambda one: (one[0].application, one[0].level, one[1]))

    def whose(self, pseudonym: bytes) -> bytes | None:
        """The person that a pseudonym stands for; None where the vault does not know it."""
        found = self.release(pseudonym)
        return None if found is None else found.person

    def study(self, original: bytes) -> Study | None:
        """An original study, by its Study Instance UID."""
        token = self.keys.token(Kind.STUDY, original)
        row = self.store.one(tables.study, token)
        if row is None:
            return None
        found = unpacked(self.keys.unseal(Kind.STUDY, token, row[1]))
        return Study(self.current(row[0]), elements_of(found["e"]), date.fromisoformat(found["d"]))

    def original(self, new_uid: bytes) -> tuple[bytes, frozenset[bytes]] | None:
        """The original of a UID and the patients in whose studies it occurs; None for a UID that is none of ours."""
        token = self.keys.token(Kind.UID, new_uid)
        rows = self.store.originals(token)
        if not rows:
            return None
        study, _, sealed = rows[0]
        original = self.keys.unseal(Kind.UID, token + study, sealed)
        return original, frozenset(self.current(person) for _, person, _ in rows)

    def person(self, patient: bytes) -> tuple[Seen, ...]:
        """What was frozen of a patient; () where nothing was."""
        found = self._person(self.keys.token(Kind.PERSON, patient))
        return () if found is None else elements_of(found["k"])

    def current(self, person: bytes) -> bytes:
        """Token of whom a patient, known by a token, is now."""
        row = self.store.one(tables.alias, person)
        return person if row is None else row[0]

    def _person(self, token: bytes) -> dict[str, Any] | None:
        row = self.store.one(tables.person, token)
        return None if row is None else unpacked(self.keys.unseal(Kind.PERSON, token, row[1]))

    # A person's decisions --------------------------------------------------------------------------------------

    def merge(self, old: bytes, new: bytes, before: Callable[[], None] = lambda: None) -> None:
        """`old` and `new` are one patient, who is `new` from now on: what comes has the pseudonym and offset of `new`.

        What was released before keeps its own, and is restored as `new`. before: called when nothing is in its way.
        Raises `bad-request`.
        """
        new = self.resolved(new)
        if self.resolved(old) == new:
            raise WardlightError("bad-request", "these are one patient already")
        into = self.keys.token(Kind.PERSON, new)
        was = self.keys.token(Kind.PERSON, old)
        tokens = [was, *self.store.merged_into(was)]
        if into in tokens:
            raise WardlightError("bad-request", "the second was merged into the first")
        before()
        self.store.merge(into, [(one, self.keys.seal(Kind.ALIAS, one, new)) for one in tokens])
        self._look()

    def erase_patient(self, patient: bytes) -> dict[str, int]:
        """Forget a patient and all that was merged with it, for good. Returns how many rows of each kind went."""
        token = self.keys.token(Kind.PERSON, self.resolved(patient))
        return self.store.erase_person([token, *self.store.merged_into(token)])

    def erase_study(self, study_uid: bytes) -> dict[str, int]:
        """Forget an original study for good; its patient stays."""
        return self.store.erase_study(self.keys.token(Kind.STUDY, study_uid))


def _remember(memory: dict[bytes, Any], key: bytes, value: Any) -> None:
    if len(memory) >= _PATIENTS:
        memory.clear()
    memory[key] = value
