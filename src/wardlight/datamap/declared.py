"""What the code declares of itself: which store and which way out has which class of data, and how it is protected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import MetaData

from wardlight import log
from wardlight.audit import fields as audit_fields
from wardlight.classification.model import DataClass
from wardlight.classification.values import Fields
from wardlight.db.schema import metadata
from wardlight.events import outbox
from wardlight.keys import keystore_schema
from wardlight.objects import format as object_format

#: Words of a column's protection; in clear there stands only what says so.
_PROTECTION: Final = {
    "none": "", "clear": "in clear, for a reason", "sealed": "sealed", "hashed": "hashed", "token": "keyed token",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """One part of a store, or of a way out. name: a column, kind of object or field. protection: "" for none."""

    store: str
    name: str
    data_class: DataClass
    protection: str = ""

    @property
    def part(self) -> str:
        """The table of a column; of anything else its name."""
        return self.name.partition(".")[0]


def tables(store: str, schema: MetaData) -> list[Place]:
    """The columns of a database, as their tables declare them."""
    return [
        Place(store, str(column), column.info["data_class"], _PROTECTION[column.info["protection"]])
        for table in schema.sorted_tables
        for column in table.columns
    ]


def named(fields: Fields, protection: str = "") -> list[Place]:
    """The fields of a way out, or the columns of a store of plain SQL."""
    return [Place(fields.name, name, data_class, protection) for name, data_class in fields.items()]


def platform() -> list[Place]:
    """All of the platform: its index, keystore and objects, and what it tells in logs, events and its trail."""
    objects = [
        Place("object store", kind.name.lower(), data_class, "sealed")
        for kind, data_class in object_format.CLASSES.items()
    ]
    keystore = [
        Place(one.store, one.name, one.data_class, "wrapped" if one.data_class is DataClass.SECRET else "")
        for one in named(keystore_schema.CLASSES)
    ]
    told = [*named(log.CLASSES), *named(outbox.EMITTED), *named(outbox.TOLD), *named(audit_fields.CLASSES)]
    return [*tables("index", metadata), *keystore, *objects, *told]


#: A class whose data lies where another is declared, the strictest of what may be there.
_WITHIN: Final = {
    DataClass.IMAGE_PSEUDONYMISED: DataClass.IMAGE_IDENTIFIED,
    DataClass.IMAGE_ANONYMISED: DataClass.IMAGE_IDENTIFIED,
    DataClass.PERSONAL: DataClass.HEALTH,
}
#: What a store's parts are, where they are no fields.
_PARTS: Final = {
    "index": ("column", "columns"), "keystore": ("column", "columns"), "object store": ("kind", "kinds")
}  # fmt: skip


def stores_of(data_class: DataClass, places: Iterable[Place]) -> tuple[str, ...]:
    """Where data of a class is: each store with how many of its parts, most first."""
    counted = Counter(
        place.store for place in places if place.data_class in (data_class, _WITHIN.get(data_class))
    )
    return tuple(
        f"{store} ({count} {_PARTS.get(store, ('field', 'fields'))[count != 1]})"
        for store, count in counted.most_common()
    )
