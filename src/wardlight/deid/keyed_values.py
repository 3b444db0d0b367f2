"""The keyed replacements of one (application, level), remembered as far as memory is bounded."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar

from wardlight.deid import dates, uids
from wardlight.deid.keys import DeidKeys

#: Longer values than this, in bytes, are made anew each time; identifiers are shorter.
_LONGEST_REMEMBERED: Final = 256
_Made = TypeVar("_Made")


def _remembered(entries: int, function: Callable[..., _Made]) -> Callable[..., _Made]:
    """The function with a memory bounded in bytes: so many results, and none for values longer than identifiers are."""
    cached = lru_cache(entries)(function)

    def call(*values: Any) -> _Made:
        for value in values:
            if value.__class__ is bytes and len(value) > _LONGEST_REMEMBERED:
                return function(*values)
        return cached(*values)

    return call


class KeyedValues:
    """The keyed replacements, each with a bounded memory."""

    def __init__(self, keys: DeidKeys) -> None:
        self.uid = _remembered(32768, lambda value: uids.map_uids(keys.uid, value))
        self.identifier = _remembered(8192, lambda value: uids.identifier(keys.identifier, value))
        self.shift = _remembered(8192, dates.shift_dates)
        self.shift_datetime = _remembered(8192, dates.shift_datetimes)
        self.offset = _remembered(8192, lambda patient: dates.offset_days(keys.date, patient))
        self.of_patient = _remembered(8192, lambda patient: uids.identifier(keys.patient, patient))
        self.group = _remembered(4096, lambda study: uids.study_group(keys.group, study))
