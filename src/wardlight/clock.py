"""The one place that reads the time, so that tests can move it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present in UTC, with microseconds."""
    return datetime.fromtimestamp(time.time(), UTC)


def timestamp(moment: datetime | None = None) -> str:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ` in UTC: the form of the audit trail and of the API."""
    return (moment or now()).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def timestamp_ms(milliseconds: int) -> str:
    """The same form, of milliseconds since 1970-01-01 UTC."""
    return timestamp(datetime.fromtimestamp(milliseconds / 1000, UTC))


def unix_ms() -> int:
    """Milliseconds since 1970-01-01 UTC: the form in which tables keep times."""
    return time.time_ns() // 1_000_000
