"""Columns that say what data they hold (R1.2) and how it is protected; a rules test reads what is said here."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Column, LargeBinary, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from wardlight.classification.model import DataClass

#: sealed: AEAD under a key that is not in this database. hashed: digest that cannot be searched by guessing, as its
#: input is random or the digest is keyed. token: keyed HMAC for look-up. clear: stands in clear by a decision that
#: `reason` cites; the rules test holds the whole list of those.
Protection = Literal["none", "sealed", "hashed", "token", "clear"]


def column(
    name: str,
    type_: TypeEngine[Any] | type[TypeEngine[Any]],
    *constraints: Any,
    data_class: DataClass,
    protection: Protection = "none",
    reason: str = "",
    **options: Any,
) -> Column[Any]:
    """A column with its data class. `options` go to SQLAlchemy; columns are NOT NULL unless `nullable=True`."""
    options.setdefault("nullable", False)
    if isinstance(type_, type):
        type_ = type_()
    if isinstance(type_, String):
        on_postgresql = _LongText if type_.length is None else _ShortText
        # By bytes, as SQLite orders texts: a page of a list goes on at the same place on both.
        type_ = type_.with_variant(on_postgresql(type_.length, collation="C"), "postgresql")
    info = {"data_class": data_class, "protection": protection, "reason": reason}
    return Column(name, type_, *constraints, info=info, **options)


class _ShortText(TypeDecorator[str]):
    """Text on PostgreSQL, which refuses zeros and half characters, where SQLite finds nothing that is like them."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database."""
        if value is None or value.isprintable():
            return value
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


class _LongText(_ShortText):
    """The same without a limit."""

    impl = Text


class Id(TypeDecorator[UUID]):
    """A UUID kept as its 16 bytes, which every database orders and indexes alike."""

    impl = LargeBinary(16)
    cache_ok = True

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else value.bytes

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> UUID | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else UUID(bytes=bytes(value))
