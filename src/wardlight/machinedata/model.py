"""What a record of machine data is, and what bounds it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from wardlight.classification.model import DataClass

#: The classes of R1.1 that machine data has, as requests name them.
CLASSES: Final = {
    "log": DataClass.LOG,
    "status": DataClass.STATUS,
    "configuration": DataClass.CONFIGURATION,
}
NAMES: Final = {data_class.value: name for name, data_class in CLASSES.items()}

#: Severity numbers of OpenTelemetry (Logs Data Model, SeverityNumber): the first of each range.
SEVERITIES: Final = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
ERROR: Final = SEVERITIES["error"]

#: Bytes of a request body, as it comes and after it was unpacked; of one that has to be read whole.
BODY_BYTES: Final = 64 << 20
UNPACKED_BYTES: Final = 256 << 20
WHOLE_BYTES: Final = 8 << 20
#: Bytes of one record, its attributes at a level, levels of what is within them, and all of those together.
RECORD_BYTES: Final = 256 << 10
ATTRIBUTES: Final = 256
LEVELS: Final = 16
MEMBERS: Final = 4096
RECORDS: Final = 2_000_000
SOURCE: Final = 64


class Record(NamedTuple):
    """One thing that a machine tells. time_ms: Unix. value: of a metric's point, whose name is `text`."""

    time_ms: int
    severity: int
    source: str
    text: str
    attributes: dict[str, Any]
    value: float | None = None
