"""All SQL of backups: which rows go into one, how they come back, and what is made anew from sealed rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, text, update

from wardlight.archive.model import ReleaseState
from wardlight.archive.store import RELEASE_COLUMNS, ReleaseRow, release_row
from wardlight.archive.tables import instance, release, series
from wardlight.db.schema import metadata, schema_version

#: Rows read and written at once.
BATCH: Final = 1_000

#: In no backup. Sessions, tokens and what stands for somebody who is signing in: a thief of backups must not become
#: anybody. Postings and what belongs to them: they are derived, and whoever has the blind-index key could test guesses
#: about erased patients with them. Counts of attempts and marks of processes: they mean nothing later.
LEFT_OUT: Final = frozenset(
    {
        "token",
        "person_session",
        "person_link",
        "sign_in_challenge",
        "sign_in_delay",
        "sign_in_name",
        "federation_attempt",
        "oidc_login",
        "client_assertion",
        "rate",
        "audit_read_session",
        "archive_posting",
        "archive_tail",
        "archive_search",
        "archive_orphan",
    }
)
#: Columns of UID tokens, for the same reason as postings; a row's own id stands in their place.
UID_COLUMNS: Final = {
    "archive_release": "token",
    "archive_series": "token",
    "archive_instance": "token",
}


def kept() -> list[Table]:
    """The tables of a backup, parents first."""
    return [
        table
        for table in metadata.sorted_tables
        if table.name not in LEFT_OUT and table is not schema_version
    ]


def copy_out(source: Connection, target: Connection) -> int:
    """Write the rows of a backup into an empty database, without what is left out; how many."""
    return sum(_copy(source, target, table, UID_COLUMNS.get(table.name)) for table in kept())


def copy_back(source: Connection, target: Connection) -> int:
    """Write all rows of a database whose backup was made whole again into an empty one; how many."""
    tables = [table for table in metadata.sorted_tables if table is not schema_version]
    done = sum(_copy(source, target, table, None) for table in tables)
    if target.dialect.name == "postgresql":
        for table in tables:
            _continue_numbers(target, table)
    return done


def _copy(source: Connection, target: Connection, table: Table, token: str | None) -> int:
    rows = source.execution_options(yield_per=BATCH).execute(select(table))
    done = 0
    for part in rows.mappings().partitions(BATCH):
        values = [dict(row) for row in part]
        if token is not None:
            for row in values:
                row[token] = row["id"].bytes
        target.execute(insert(table), values)
        done += len(values)
    return done


def _continue_numbers(target: Connection, table: Table) -> None:
    """Numbers that PostgreSQL gives by itself go on after those that were copied."""
    (first, *others) = table.primary_key.columns
    if others or table.autoincrement_column is not first:
        return
    largest = target.execute(select(func.max(first))).scalar()
    if largest is not None:
        # Not setval, for which a role that serves has no right.
        sequence = text(
            "SELECT count(nextval(pg_get_serial_sequence(:table, :column))) FROM generate_series(1, :value)"
        )
        target.execute(sequence, {"table": table.name, "column": first.name, "value": largest})


def is_empty(tx: Connection) -> bool:
    """Whether the database has no institution yet."""
    return tx.execute(select(metadata.tables["institution"].c.id).limit(1)).first() is None


# ---- made anew ----

_SET_TOKEN: Final = {
    table.name: update(table).where(table.c.id == bindparam("row")).values(token=bindparam("new"))
    for table in (release, series, instance)
}


def set_tokens(tx: Connection, table: str, rows: Sequence[tuple[UUID, bytes]]) -> None:
    """Put the tokens (row, token) of UIDs back into a table."""
    if rows:
        tx.execute(_SET_TOKEN[table], [{"row": row, "new": token} for row, token in rows])


def sealed_below(tx: Connection, release_id: UUID, table: str) -> Iterator[Sequence[tuple[UUID, bytes]]]:
    """(row, sealed) of the series or instances of a release, in parts."""
    rows = metadata.tables[table]
    after: UUID | None = None
    while True:
        query = select(rows.c.id, rows.c.sealed).where(rows.c.release == release_id)
        if after is not None:
            query = query.where(rows.c.id > after)
        part = [(row[0], bytes(row[1])) for row in tx.execute(query.order_by(rows.c.id).limit(BATCH))]
        if part:
            yield part
        if len(part) < BATCH:
            return
        after = part[-1][0]


def live_releases(tx: Connection) -> list[ReleaseRow]:
    """All releases that are not being deleted."""
    query = select(*RELEASE_COLUMNS).where(release.c.state != ReleaseState.DELETING.value)
    return [release_row(row) for row in tx.execute(query.order_by(release.c.id))]


def drop_reservations(tx: Connection) -> int:
    """Remove releases that hold nothing: nothing tells of what study they were."""
    return tx.execute(delete(release).where(release.c.sealed.is_(None))).rowcount


def complete_again(tx: Connection, releases: Sequence[UUID]) -> None:
    """Have the metadata of these releases made anew."""
    values: dict[str, Any] = {
        "state": ReleaseState.RECEIVING.value,
        "metadata_object": None,
        "metadata_size": 0,
    }
    tx.execute(update(release).where(release.c.id.in_(releases)).values(**values))
