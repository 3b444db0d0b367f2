"""Statements of the hot paths, compiled once: on SQLite they go straight to the driver.

There SQLAlchemy takes several times as long to hand a statement over as the database takes to run it. On other
databases, where each statement is a journey over the network, it goes the usual way; results are the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

_Converter = Callable[[Any], Any]


class Prepared:
    """One statement of SQLAlchemy Core. Threads may share it. Columns have no defaults that Python computes."""

    __slots__ = ("_forms", "_statement")

    def __init__(self, statement: Any) -> None:
        self._statement: Final = statement
        self._forms: dict[tuple[object, ...], _Form] = {}

    def all(self, tx: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a query. A value for an `expanding` parameter is a sequence that is not empty."""
        if tx.dialect.name != "sqlite":
            return [tuple(row) for row in tx.execute(self._statement, values)]
        form = self._form(tx.dialect, values)
        return form.converted(form.execute(tx, values).fetchall())

    def first(self, tx: Connection, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The first row of a query, None where it has none."""
        rows = self.all(tx, values)
        return rows[0] if rows else None

    def run(self, tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement without results for each of these rows, which name the same columns."""
        if tx.dialect.name != "sqlite":
            tx.execute(self._statement, rows)
        elif rows:
            self._form(tx.dialect, rows[0]).execute_many(tx, rows)

    def _form(self, dialect: Dialect, values: Mapping[str, Any]) -> _Form:
        key = tuple(
            name if not isinstance(value, list | tuple) else (name, len(value))
            for name, value in values.items()
        )
        form = self._forms.get(key)
        if form is None:
            form = _Form(self._statement, dialect, values)
            if len(self._forms) < 100:
                self._forms[key] = form
        return form


class _Form:
    """A statement's text for one set of parameters, with the conversions of what goes in and comes out."""

    __slots__ = ("_converters", "_dialect", "_inputs", "_text")

    def __init__(self, statement: ClauseElement, dialect: Dialect, values: Mapping[str, Any]) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(values), for_executemany=True)
        assert isinstance(compiled, SQLCompiler)
        self._dialect = dialect
        text = compiled.string
        for name, value in values.items():
            if isinstance(value, list | tuple):
                text = text.replace(f"__[POSTCOMPILE_{name}]", ", ".join("?" * len(value)))
        self._text = text
        converters = compiled._bind_processors
        #: (name, conversion, whether it is a sequence, value where the statement has it itself)
        self._inputs = [
            (
                name,
                _of(converters.get(name)),
                isinstance(values.get(name), list | tuple),
                compiled.params.get(name),
            )
            for name in compiled.positiontup or ()
        ]
        self._converters: list[_Converter | None] = [
            entry.type.dialect_impl(dialect).result_processor(dialect, None)
            for entry in getattr(compiled, "_result_columns", ())
        ]

    def execute(self, tx: Connection, values: Mapping[str, Any]) -> sqlite3.Cursor:
        """Run it once."""
        driver: sqlite3.Connection = tx.connection.driver_connection  # type: ignore[assignment]
        try:
            return driver.execute(self._text, self._parameters(values))
        except sqlite3.Error as error:
            raise self._wrapped(error) from None

    def execute_many(self, tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each row."""
        driver: sqlite3.Connection = tx.connection.driver_connection  # type: ignore[assignment]
        try:
            driver.executemany(self._text, [self._parameters(row) for row in rows])
        except sqlite3.Error as error:
            raise self._wrapped(error) from None

    def converted(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Rows of the driver as those of SQLAlchemy."""
        converters = self._converters
        return [
            tuple(
                value if convert is None else convert(value)
                for value, convert in zip(row, converters, strict=True)
            )
            for row in rows
        ]

    def _parameters(self, values: Mapping[str, Any]) -> list[Any]:
        found: list[Any] = []
        for name, convert, several, default in self._inputs:
            value = values.get(name, default)
            if several:
                found.extend(value if convert is None else map(convert, value))
            else:
                found.append(value if convert is None else convert(value))
        return found

    def _wrapped(self, error: sqlite3.Error) -> BaseException:
        """The error as SQLAlchemy raises it, for those who handle it: without the statement's values."""
        return DBAPIError.instance(
            self._text, None, error, sqlite3.Error, hide_parameters=True, dialect=self._dialect
        )


def _of(converter: object) -> _Converter | None:
    return converter if callable(converter) else None
