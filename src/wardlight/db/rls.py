"""Row-level security on PostgreSQL: an institution's rows are visible only to a transaction that names it.

This is a second wall behind the `WHERE` of every statement (architecture.md decision 10): a statement that forgets its
institution finds nothing of others. `Database` names the institution for each transaction; one that names none sees
no institution's rows, and `EVERYWHERE` is for what concerns all, such as finding the holder of a token.

A superuser and a role with BYPASSRLS see everything; the platform refuses to serve as such.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, MetaData, Table, inspect, text

from wardlight.errors import WardlightError

# Sub-selects are evaluated once a statement, not once a row.
_EVERYWHERE: Final = "(SELECT current_setting('wardlight.institution', true)) = '*'"
_OWN: Final = (
    "(SELECT decode(nullif(coalesce(current_setting('wardlight.institution', true), ''), '*'), 'hex'))"
)
_POLICY: Final = "wardlight_institution"


def conditions(metadata: MetaData) -> dict[str, str]:
    """Table → what makes its rows visible; tables that belong to no institution are not in it."""
    found: dict[str, str] = {}
    for table in metadata.sorted_tables:  # Parents come before children.
        if (condition := _condition(table, found)) is not None:
            found[table.name] = f"{_EVERYWHERE} OR {condition}"
    return found


def _condition(table: Table, known: dict[str, str]) -> str | None:
    if table.name == "institution":
        return f"id = {_OWN}"
    if "institution" in table.c:
        # Rows without an institution are the operator's: they belong to a transaction that names none.
        nullable = table.c.institution.nullable
        return f"institution IS NOT DISTINCT FROM nullif({_OWN}, '')" if nullable else f"institution = {_OWN}"
    for column in table.c:
        for key in column.foreign_keys:
            parent = key.column.table.name
            if parent in known:
                child = f'"{table.name}"."{column.name}"'
                return f'EXISTS (SELECT FROM "{parent}" parent WHERE parent."{key.column.name}" = {child})'
    return None


def protect(tx: Connection, metadata: MetaData) -> None:
    """Put the policies on all tables that are there, also against their owner; the same again at a second call."""
    present = set(inspect(tx).get_table_names())
    for name, condition in conditions(metadata).items():
        if name in present:
            tx.execute(text(f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY'))
            tx.execute(text(f'ALTER TABLE "{name}" FORCE ROW LEVEL SECURITY'))
            tx.execute(text(f'DROP POLICY IF EXISTS {_POLICY} ON "{name}"'))
            tx.execute(text(f'CREATE POLICY {_POLICY} ON "{name}" USING ({condition})'))


_BYPASSES: Final = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
_PROTECTED: Final = text(
    "SELECT c.relname FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid"
    " WHERE c.relrowsecurity AND c.relforcerowsecurity AND p.polname = :policy"
    " AND c.relnamespace = current_schema()::regnamespace"
)


def require(tx: Connection, metadata: MetaData) -> None:
    """Raise `settings-unsafe` unless row-level security holds for the role that this connection has."""
    if tx.execute(_BYPASSES).scalar():
        raise WardlightError("settings-unsafe", "the role of database_url bypasses row-level security")
    bare = conditions(metadata).keys() - set(tx.execute(_PROTECTED, {"policy": _POLICY}).scalars())
    if bare:
        raise WardlightError(
            "settings-unsafe",
            f"row-level security is off for {', '.join(sorted(bare))}: run `wardlight migrate`",
        )
