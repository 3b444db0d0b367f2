"""Times as people of one place read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wardlight.errors import WardlightError

#: Where nobody says otherwise.
UTC_NAME: Final = "UTC"


@dataclass(frozen=True, slots=True)
class Clockwork:
    """Writes times in one zone. name: of the zone as the tz database has it."""

    name: str
    zone: tzinfo

    def minute(self, moment: str) -> str:
        """`24 Nov 2026, 08:00`, from a time of the trail."""
        local = self._local(moment)
        return f"{self._day(local)}, {local:%H:%M}"

    def day(self, moment: str) -> str:
        """`24 Nov 2026`."""
        return self._day(self._local(moment))

    def until(self, start: str, end: str) -> str:
        """The end of what began at `start`: the time alone where it is the same day."""
        same = self.day(start) == self.day(end)
        return f"{self._local(end):%H:%M}" if same else self.minute(end)

    def _local(self, moment: str) -> datetime:
        return datetime.fromisoformat(moment).astimezone(self.zone)

    def _day(self, local: datetime) -> str:
        # %-d is not portable, and month names must not follow the server's locale.
        return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def clockwork(name: str) -> Clockwork:
    """For a zone such as `Europe/Berlin`. Raises `bad-request` for one that nobody knows."""
    if name == UTC_NAME:
        return Clockwork(name, UTC)
    try:
        return Clockwork(name, ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WardlightError("bad-request", "the time zone is not known here", reason="timezone") from None
