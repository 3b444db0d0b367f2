"""All SQL of the vault. Rows come and go sealed: nothing here knows what is in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, func, select
from sqlalchemy.dialects.sqlite import insert as upsert

from wardlight.errors import WardlightError
from wardlight.receiver.own_database import OwnDatabase
from wardlight.receiver.vault_tables import (
    SCHEMA_VERSION,
    alias,
    person,
    release,
    schema_version,
    state,
    study,
    uid,
)

_GENERATION: Final = "generation"
#: Rows that lead back, in the order in which they are written, each once: the first of two stays.
_ADD: Final = {table: upsert(table).on_conflict_do_nothing() for table in (person, release, study, uid)}
_READ_GENERATION: Final = select(state.c.value).where(state.c.name == _GENERATION)
#: Rows read at once where all are.
_PAGE: Final = 2000


class VaultStore(OwnDatabase):
    """The vault's database. Threads may share one; each process opens its own."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, schema_version, SCHEMA_VERSION)

    def generation(self, tx: Connection | None = None) -> int:
        """Erasures, merges and imports so far."""
        if tx is not None:
            return tx.execute(_READ_GENERATION).scalar() or 0
        with self.database.read() as reading:
            return reading.execute(_READ_GENERATION).scalar() or 0

    def turn(self, tx: Connection) -> None:
        """What processes remember of the rows may be wrong from now on."""
        row = {"name": _GENERATION, "value": 1}
        tx.execute(
            upsert(state)
            .values(row)
            .on_conflict_do_update(index_elements=["name"], set_={"value": state.c.value + 1})
        )

    # Rows ------------------------------------------------------------------------------------------------------

    def add(self, tx: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows of `person`, `release`, `study` or `uid`; those that are there stay as they are."""
        if rows:
            tx.execute(_ADD[table], rows)

    def one(self, table: Table, token: bytes) -> tuple[bytes, bytes] | None:
        """(token of the person or of whom it is now, sealed) of a row of `person`, `alias`, `release` or `study`."""
        whose = {
            person: person.c.token,
            alias: alias.c.into,
            release: release.c.person,
            study: study.c.person,
        }
        query = select(whose[table], table.c.sealed).where(table.c.token == token)
        with self.database.read() as tx:
            row = tx.execute(query).first()
        return None if row is None else (bytes(row[0]), bytes(row[1]))

    def originals(self, token: bytes) -> list[tuple[bytes, bytes, bytes]]:
        """(study, person, sealed) of each study that knows a new UID."""
        query = (
            select(uid.c.study, study.c.person, uid.c.sealed)
            .join(study, study.c.token == uid.c.study)
            .where(uid.c.token == token)
        )
        with self.database.read() as tx:
            return [(bytes(row[0]), bytes(row[1]), bytes(row[2])) for row in tx.execute(query)]

    def merged_into(self, token: bytes) -> list[bytes]:
        """Tokens of patients that are this one now."""
        with self.database.read() as tx:
            return [
                bytes(one) for one in tx.execute(select(alias.c.token).where(alias.c.into == token)).scalars()
            ]

    def releases(self, persons: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        """(token, sealed) of the pseudonyms of these patients, known by their tokens."""
        query = select(release.c.token, release.c.sealed).where(release.c.person.in_(persons))
        with self.database.read() as tx:
            return [(bytes(row[0]), bytes(row[1])) for row in tx.execute(query)]

    def merge(self, new: bytes, sealed: Sequence[tuple[bytes, bytes]]) -> None:
        """These patients are `new` from now on. sealed: (token, blob) of each of them."""
        with self.database.begin() as tx:
            for token, blob in sealed:
                row = {"token": token, "into": new, "sealed": blob}
                tx.execute(
                    upsert(alias).values(row).on_conflict_do_update(index_elements=["token"], set_=row)
                )
            self.turn(tx)

    # Erasing ---------------------------------------------------------------------------------------------------

    def erase_person(self, tokens: Sequence[bytes]) -> dict[str, int]:
        """Drop all that leads back to these patients, who are one. Returns how many rows of each kind went."""
        with self.database.begin(long=True) as tx:
            studies = list(tx.execute(select(study.c.token).where(study.c.person.in_(tokens))).scalars())
            gone = self._erase_studies(tx, [bytes(one) for one in studies])
            gone["pseudonyms"] = tx.execute(delete(release).where(release.c.person.in_(tokens))).rowcount
            tx.execute(delete(alias).where(alias.c.token.in_(tokens) | alias.c.into.in_(tokens)))
            gone["patients"] = tx.execute(delete(person).where(person.c.token.in_(tokens))).rowcount
            self.turn(tx)
        self._truncate()
        return gone

    def erase_study(self, token: bytes) -> dict[str, int]:
        """Drop all that leads back to this study; the patient's other studies stay."""
        with self.database.begin(long=True) as tx:
            gone = self._erase_studies(tx, [token])
            self.turn(tx)
        self._truncate()
        return gone

    def _erase_studies(self, tx: Connection, tokens: Sequence[bytes]) -> dict[str, int]:
        uids = 0
        studies = 0
        for token in tokens:
            uids += tx.execute(delete(uid).where(uid.c.study == token)).rowcount
            studies += tx.execute(delete(study).where(study.c.token == token)).rowcount
        return {"studies": studies, "uids": uids}

    def _truncate(self) -> None:
        """Drop what the write-ahead log still holds of erased rows, as far as no reader is in the way."""
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=30.0)
        try:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error:
            busy = 1
        finally:
            connection.close()
        if busy:
            raise WardlightError(
                "unavailable",
                "erased, but its sealed remnants are in the write-ahead log until the next erasing",
            )

    # Whole -----------------------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Rows of each kind."""
        names = {"patients": person, "merged": alias, "pseudonyms": release, "studies": study, "uids": uid}
        with self.database.read() as tx:
            return {
                name: tx.execute(select(func.count()).select_from(table)).scalar() or 0
                for name, table in names.items()
            }

    def rows(self, table: Table) -> Iterator[tuple[bytes, ...]]:
        """Every row of a table, as of now: written ones do not hold up whoever reads."""
        with self.database.read() as tx:
            for row in tx.execute(select(table).execution_options(yield_per=_PAGE)):
                yield tuple(bytes(one) for one in row)

    def bring(self, table: Table, rows: Iterable[Sequence[bytes]]) -> int:
        """Add rows of another vault that are not here yet. Returns how many were new."""
        names = [one.name for one in table.columns]
        values = [dict(zip(names, row, strict=True)) for row in rows]
        if not values:
            return 0
        with self.database.begin() as tx:
            before = tx.execute(select(func.count()).select_from(table)).scalar() or 0
            tx.execute(upsert(table).on_conflict_do_nothing(), values)
            return (tx.execute(select(func.count()).select_from(table)).scalar() or 0) - before

    def clear(self) -> None:
        """Drop every row: what was found under a domain's tokens is lost with the domain."""
        with self.database.begin(long=True) as tx:
            for table in (uid, study, release, alias, person):
                tx.execute(delete(table))
            self.turn(tx)

    def turned(self) -> None:
        """`turn` in a transaction of its own."""
        with self.database.begin() as tx:
            self.turn(tx)
