"""Members of a JSON body, each read once and checked; what is not known is refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from wardlight.errors import WardlightError

_MOST: int = 1 << 53
_Word = TypeVar("_Word", bound=StrEnum)


class Fields:
    """One body. Methods raise `bad-request` for a member of another kind; one that is null is not there."""

    def __init__(self, body: Mapping[str, Any], known: frozenset[str]) -> None:
        if unknown := body.keys() - known:
            raise WardlightError("bad-request", f"{len(unknown)} members of the body are not known here")
        self._body = body

    def __contains__(self, name: str) -> bool:
        return self._body.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        """A text; required where there is no default."""
        return str(self._one(name, str, default))

    def number(self, name: str, default: int | None = None) -> int:
        """A number without fraction, required where there is no default."""
        value = self._one(name, int, default)
        if isinstance(value, bool) or not -_MOST < value < _MOST:
            raise WardlightError("bad-request", f"{name} is not a number of this kind")
        return int(value)

    def members(self, name: str) -> Mapping[str, Any]:
        """An object; required."""
        value: Mapping[str, Any] = self._one(name, dict, None)
        return value

    def flag(self, name: str) -> bool:
        """True or false; false where it is not there."""
        return bool(self._one(name, bool, False))

    def words(self, name: str) -> frozenset[str]:
        """A list of texts, empty where it is not there."""
        value = self._one(name, list, [])
        if not all(isinstance(one, str) for one in value):
            raise WardlightError("bad-request", f"{name} is not a list of texts")
        return frozenset(value)

    def choice(self, name: str, kind: type[_Word]) -> _Word:
        """One of a known set of words; required."""
        return _word(name, self.text(name), kind)

    def choices(self, name: str, kind: type[_Word]) -> frozenset[_Word]:
        """A list of them."""
        return frozenset(_word(name, one, kind) for one in self.words(name))

    def moment(self, name: str) -> int | None:
        """A time of RFC 3339 as Unix milliseconds."""
        if name not in self:
            return None
        try:
            moment = datetime.fromisoformat(self.text(name))
            if moment.tzinfo is None:
                raise ValueError
            return int(moment.timestamp() * 1000)
        except (ValueError, OverflowError):
            raise WardlightError("bad-request", f"{name} is not a time with its zone") from None

    def id(self, name: str) -> UUID | None:
        """An id of 32 hexadecimal digits."""
        return parsed_id(self.text(name), "bad-request") if name in self else None

    def _one(self, name: str, kind: type[Any], default: Any) -> Any:
        value = self._body.get(name)
        if value is None:
            value = default
        if not isinstance(value, kind):
            raise WardlightError("bad-request", f"{name} is missing or of another type")
        return value


def parsed_id(text: str, code: str = "not-found") -> UUID:
    """An id as addresses and bodies have it: 32 hexadecimal digits. Raises the error of this code."""
    try:
        if len(text) == 32 and text.isascii() and text.isalnum():
            return UUID(hex=text)
    except ValueError:
        pass  # The same as any other text.
    raise WardlightError(code)


def _word(name: str, text: str, kind: type[_Word]) -> _Word:
    try:
        return kind(text)
    except ValueError:
        raise WardlightError("bad-request", f"{name} is not one of {', '.join(kind)}") from None
