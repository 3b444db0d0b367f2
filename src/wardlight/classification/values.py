"""Values that know their class, and the fields of ways out that know theirs: what may not leave there does not.

Two walls. A value in `Classified` is no text: the type checker refuses it where a text is told, and so does what writes
JSON. A way out has its fields listed in `Fields`, each with its class; one of a class that may not leave by it cannot
be listed, and one that is not listed does not leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Generic, NoReturn, TypeVar

from wardlight.classification.model import DataClass

T_co = TypeVar("T_co", covariant=True)

#: What ways out carry: nothing that is classified is of these types.
Plain = str | int | float | bool | None
_PLAIN: Final = (str, int, float, type(None))


class Classified(Generic[T_co]):
    """A value of a data class that logs, events, errors and webhooks may not hold. It shows its class, never itself."""

    __slots__ = ("_value", "data_class")

    def __init__(self, data_class: DataClass, value: T_co) -> None:
        self.data_class: Final = data_class
        self._value: Final = value

    def reveal(self) -> T_co:
        """The value itself, for what may hold it: whoever calls this is looked at."""
        return self._value

    def __repr__(self) -> str:
        return f"<{self.data_class}>"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Classified)
            and self.data_class is other.data_class
            and bool(self._value == other._value)
        )

    def __hash__(self) -> int:
        return hash((self.data_class, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self.data_class} cannot be serialised")


class Fields(Mapping[str, DataClass]):
    """The named fields of one way out, or of one store, each with its class.

    may: classes that it can hold; all of them where it is not given. declared: the names of each class between spaces.
    Raises ValueError for a field of another class, and for one that is declared twice.
    """

    __slots__ = ("_classes", "name")

    def __init__(
        self,
        name: str,
        declared: Mapping[DataClass, str],
        *,
        may: frozenset[DataClass] = frozenset(DataClass),
    ) -> None:
        self.name: Final = name
        classes: dict[str, DataClass] = {}
        for data_class, names in declared.items():
            if data_class not in may:
                raise ValueError(f"{name} cannot hold {data_class}")
            for field in names.split():
                if field in classes:
                    raise ValueError(f"{name} declares {field} twice")
                classes[field] = data_class
        self._classes: Final = classes

    def require(self, values: Mapping[str, object]) -> None:
        """Raise TypeError unless every name is declared here and every value is plain, or a list of plain ones."""
        for name, value in values.items():
            if name not in self._classes:
                raise TypeError(f"{self.name} has no field {name}")
            if isinstance(value, _PLAIN):
                continue
            if not isinstance(value, list | tuple) or not all(isinstance(item, _PLAIN) for item in value):
                raise TypeError(f"{self.name} cannot hold what {name} was given")

    def __getitem__(self, name: str) -> DataClass:
        return self._classes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)
