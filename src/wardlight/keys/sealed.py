"""`Sealed`: a value that shows only its class wherever it is printed by mistake (security.md §9).

`str`, `repr` and `format` give a tag and do not raise: a log line must not lose an image. Everything that would copy
the value out (JSON, pickle, copy, bytes, a database bind) raises. `reveal` is the one way out.
"""

from __future__ import annotations

from typing import Generic, NoReturn, TypeVar

from wardlight.classification.model import DataClass

T_co = TypeVar("T_co", covariant=True)


class Sealed(Generic[T_co]):
    """Holds a value of one data class. Equality is identity: comparing would be a way to guess."""

    __slots__ = ("__tag", "__value")

    def __init__(self, value: T_co, data_class: DataClass, tag: str = "") -> None:
        """`tag` says more exactly than the class what it is, such as `patient-name`; it is shown, the value never."""
        self.__value = value
        self.__tag = f"<{tag or data_class.value}>"

    def reveal(self, purpose: str) -> T_co:
        """The value. `purpose` says, for readers and for the lint, what it is needed for."""
        if not purpose:
            raise ValueError("revealing a sealed value needs a purpose")
        return self.__value

    def __repr__(self) -> str:
        return self.__tag

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return self.__tag

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError(f"{self.__tag} is sealed: it is neither pickled nor copied")

    def __copy__(self) -> NoReturn:
        self.__reduce_ex__(None)

    def __deepcopy__(self, _: object) -> NoReturn:
        self.__reduce_ex__(None)

    def __bytes__(self) -> NoReturn:
        raise TypeError(f"{self.__tag} is sealed: it gives no bytes")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{self.__tag} is sealed: it gives no items")
