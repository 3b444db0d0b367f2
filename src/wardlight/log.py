"""Structured logs of allow-listed fields only (security.md section 9).

A field is registered here with its type; anything else is dropped and counted, and fails the tests. No field holds
a value of a data set, a name, a UID, a path, or the text of an exception: only its type and our own location.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, TextIO

from wardlight import clock
from wardlight.classification.model import MACHINE, DataClass
from wardlight.classification.values import Fields, Plain

# Field → type. Its class stands in `CLASSES`; a value of `Classified` is of none of these types, and so is dropped.
FIELDS: Final[dict[str, type | tuple[type, ...]]] = {
    "event": str,
    "level": str,
    "process": str,
    "node": str,
    "association": str,
    "calling_ae": str,
    "called_ae": str,
    "address": str,
    "sop_class": str,
    "transfer_syntax": str,
    "status": int,
    "code": str,
    "reason": str,
    "route": str,
    "method": str,
    "template": str,
    "request": str,
    "http_status": int,
    "duration_ms": (int, float),
    "count": int,
    "instances": int,
    "bytes": int,
    "attempt": int,
    "wait_s": (int, float),
    "pid": int,
    "exit_code": int,
    "port": int,
    "error_type": str,
    "error_at": str,
    "file_id": str,
    "offset": int,
    "institution": str,
    "release": str,
    "deletion": str,
    "version": str,
    "limit": int,
    "tier": str,
    "url_host": str,
}

#: The class of each field: a log cannot have one that tells of a patient or of a person's account.
CLASSES: Final = Fields(
    "log",
    {
        DataClass.STATUS: "event level process node association sop_class transfer_syntax status code reason method"
        " template request http_status duration_ms count instances bytes attempt wait_s pid exit_code error_type"
        " error_at file_id offset institution release deletion",
        DataClass.CONFIGURATION: "calling_ae called_ae address route port version limit tier url_host",
    },
    may=MACHINE,
)

dropped: Counter[str] = Counter()
"""Names of fields that were passed and are not registered: the rules test demands that this stays empty."""

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_PACKAGE: Final = str(Path(__file__).parent)


class Logger:
    """Writes one JSON object a line. Built once per process by `configure`."""

    def __init__(self, process: str, stream: TextIO, threshold: int) -> None:
        self.process = process
        self.stream = stream
        self.threshold = threshold

    def write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Write one line, unless `level` lies under the threshold."""
        if _LEVELS[level] < self.threshold:
            return
        row: dict[str, object] = {
            "time": clock.timestamp(),
            "level": level,
            "process": self.process,
            "event": event,
        }
        for name, value in fields.items():
            expected = FIELDS.get(name)
            if expected is None or not isinstance(value, expected):
                dropped[name] += 1
                continue
            row[name] = value[:200] if isinstance(value, str) else value
        try:
            self.stream.write(json.dumps(row, ensure_ascii=True) + "\n")
            self.stream.flush()
        except (OSError, ValueError):
            pass  # A log line that cannot be written must not lose an image.


_logger = Logger("wardlight", sys.stderr, 30)


def configure(process: str, *, level: str = "info", stream: TextIO | None = None) -> None:
    """Set the process name and threshold, and silence what prints peers' values: libraries' loggers, warnings and
    tracebacks. Called first in every process, the command line's workers too."""
    global _logger
    _logger = Logger(process, stream or sys.stderr, _LEVELS[level])
    root = logging.getLogger()
    root.handlers = [logging.NullHandler()]
    # For all loggers, of whatever name, level and handlers: a library's message may hold what it worked on, and a
    # record that finds no handler is printed by the module itself.
    logging.disable(logging.CRITICAL)
    warnings.showwarning = _warned
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda arguments: error("uncaught", arguments.exc_value)
    threading.excepthook = lambda arguments: error("uncaught", arguments.exc_value)


def _uncaught(kind: type[BaseException], exception: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    error("uncaught", exception.with_traceback(trace))


def _warned(
    message: Warning | str,  # noqa: ARG001 - the signature of a hook
    category: type[Warning],
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    warning("python.warning", error_type=category.__name__)


def info(event: str, **fields: Plain) -> None:
    """Something happened as it should."""
    _logger.write("info", event, fields)


def warning(event: str, **fields: Plain) -> None:
    """Something needs a look."""
    _logger.write("warning", event, fields)


def error(event: str, exception: BaseException | None = None, **fields: Plain) -> None:
    """Something failed; of the exception only its type and our own line are written."""
    if exception is not None:
        fields = {**fields, "error_type": type(exception).__name__, "error_at": location(exception)}
    _logger.write("error", event, fields)


def location(exception: BaseException) -> str:
    """`module.py:line` of the innermost frame that is our code."""
    place = "outside"
    for frame in traceback.extract_tb(exception.__traceback__):
        if frame.filename.startswith(_PACKAGE):
            place = f"{frame.filename[len(_PACKAGE) + 1 :]}:{frame.lineno}"
    return place
