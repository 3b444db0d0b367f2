"""One body of machine data on its way in: read as it comes, looked through, compressed, encrypted.

Nothing is found before `finish` returns, and nothing stays where it does not.
"""

from __future__ import annotations

import codecs
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from wardlight import clock
from wardlight.archive.machine_store import HOUR_MS
from wardlight.errors import WardlightError
from wardlight.machinedata import records as reading
from wardlight.machinedata.blocks import BLOCK_BYTES, Block, line, packed
from wardlight.machinedata.model import (
    BODY_BYTES,
    ERROR,
    RECORD_BYTES,
    RECORDS,
    UNPACKED_BYTES,
    WHOLE_BYTES,
    Record,
)
from wardlight.machinedata.screening import Screen
from wardlight.objects.store import ObjectWriter

#: Names of sources that a segment's row lists.
_SOURCES: Final = 16
#: Hours that one body is counted in; the rest counts as of now.
_HOURS: Final = 2000
#: Records looked through together, and at most so many bytes of them.
_TOGETHER: Final = 4096
_GZIP: Final = 16 + zlib.MAX_WBITS
_PIECE: Final = 1 << 20


class Form(StrEnum):
    """What a body is."""

    OTLP_LOGS = "otlp-logs"
    OTLP_METRICS = "otlp-metrics"
    NDJSON = "ndjson"
    LINES = "lines"
    DOCUMENT = "document"


_WHOLE: Final = {Form.OTLP_LOGS, Form.OTLP_METRICS, Form.DOCUMENT}


class Body:
    """Decodes, reads and packs one body into an object. refuse: what is found is not masked: nothing is taken."""

    def __init__(self, writer: ObjectWriter, form: Form, source: str, *, gzip: bool, refuse: bool) -> None:
        self._writer: Final = writer
        self.form: Final = form
        self._source: Final = source
        self._refuse: Final = refuse
        self._gzip = zlib.decompressobj(_GZIP) if gzip else None
        self._text: Final = codecs.getincrementaldecoder("utf-8-sig")("strict")
        self._screen: Final = Screen(source)
        self._rest = ""
        self._batch: list[Record] = []
        self._kept = 0
        self._batched = 0
        self._lines: list[tuple[bytes, Record]] = []
        self._size = 0
        self._now: Final = clock.unix_ms()
        self.came = 0
        self.length = 0
        self.records = 0
        self.blocks: Final[list[Block]] = []
        self.sources: Final[set[str]] = set()
        self.hours: Final[dict[tuple[str, int], list[int]]] = {}

    @property
    def found(self) -> Mapping[str, int]:
        """What was masked, or found, by detector."""
        return Counter(self._screen.found)

    @property
    def masked(self) -> int:
        """Records in which something was."""
        return self._screen.masked

    @property
    def named(self) -> str:
        """The sources as the index has them."""
        return "\n".join(sorted(self.sources)) if len(self.sources) <= _SOURCES else ""

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises `too-large`, `bad-request`."""
        self.came += len(data)
        if self.came > BODY_BYTES:
            raise WardlightError("too-large", f"the body is larger than {BODY_BYTES >> 20} MiB")
        if self._gzip is None:
            self._take(data)
            return
        try:
            while data:
                if self._gzip.eof:
                    raise WardlightError("bad-request", "something follows the gzip member")
                self._take(self._gzip.decompress(data, _PIECE))
                data = self._gzip.unconsumed_tail or self._gzip.unused_data
        except zlib.error:
            raise WardlightError("bad-request", "the body is not gzip") from None

    def finish(self) -> None:
        """The rest. Raises `bad-request` for a body without a record, and `personal-data` where it is to be refused."""
        if self._gzip is not None:
            while piece := self._gzip.decompress(b"", _PIECE):
                self._take(piece)
            if not self._gzip.eof:
                raise WardlightError("bad-request", "the gzip member is cut off")
        self._decode(b"", final=True)
        if self.form in _WHOLE:
            for record in self._whole(self._rest):
                self._add(record)
        elif self._rest.strip():
            self._add(self._record(self._rest))
        self._rest = ""
        self._look()
        self._pack()
        if self._refuse and self.found:
            raise WardlightError("personal-data", f"found: {', '.join(told(self.found))}")
        if not self.records:
            raise WardlightError("bad-request", "there is no record in the body")

    def _take(self, data: bytes) -> None:
        self.length += len(data)
        most = WHOLE_BYTES if self.form in _WHOLE else UNPACKED_BYTES
        if self.length > most:
            raise WardlightError("too-large", f"the body is larger than {most >> 20} MiB unpacked")
        if b"\0" in data:
            raise WardlightError("bad-request", "machine data is text: files of other kinds are refused")
        self._decode(data)

    def _decode(self, data: bytes, *, final: bool = False) -> None:
        try:
            self._rest += self._text.decode(data, final)
        except UnicodeDecodeError:
            raise WardlightError("bad-request", "machine data is text in UTF-8") from None
        if self.form in _WHOLE:
            return
        *lines, self._rest = self._rest.split("\n")
        if len(self._rest) > RECORD_BYTES:
            raise WardlightError("too-large", f"a line is longer than {RECORD_BYTES >> 10} KiB")
        for one in lines:
            if len(one) > RECORD_BYTES:
                raise WardlightError("too-large", f"a line is longer than {RECORD_BYTES >> 10} KiB")
            if one.strip():
                self._add(self._record(one))

    def _record(self, text: str) -> Record:
        if self.form is Form.NDJSON:
            return reading.of_json(text, self._source, self._now)
        return reading.of_line(text.rstrip("\r"), self._source, self._now)

    def _whole(self, text: str) -> Iterator[Record]:
        value = reading.loads(text)
        if self.form is Form.OTLP_LOGS:
            return reading.of_otlp_logs(value, self._source, self._now)
        if self.form is Form.OTLP_METRICS:
            return reading.of_otlp_metrics(value, self._source, self._now)
        reading.check(value)
        members = value if isinstance(value, dict) else {"value": value}
        return iter((Record(self._now, 0, self._source, "", reading.flat(members)),))

    def _add(self, record: Record) -> None:
        # What a resource of OTLP says stands in each of its records: what came is not what is kept.
        size = reading.size_of(record)
        self._kept += size
        if size > RECORD_BYTES:
            raise WardlightError("too-large", f"a record is longer than {RECORD_BYTES >> 10} KiB")
        if self._kept > UNPACKED_BYTES:
            raise WardlightError("too-large", f"the records are more than {UNPACKED_BYTES >> 20} MiB")
        self.records += 1
        if self.records > RECORDS:
            raise WardlightError("too-large", f"a body has at most {RECORDS} records")
        self._batch.append(record)
        self._batched += size
        if len(self._batch) >= _TOGETHER or self._batched >= BLOCK_BYTES:
            self._look()

    def _look(self) -> None:
        """Look through the batch, and put it into blocks."""
        for record, masked in self._screen.look(self._batch):
            if self._refuse and self.found:
                continue  # Nothing of it is kept; the rest is looked at to say all that there is.
            kept = line(record)
            self._lines.append((kept, record))
            self._size += len(kept) + 1
            self._note(record, masked=masked)
            if self._size >= BLOCK_BYTES:
                self._pack()
        self._batch, self._batched = [], 0

    def _note(self, record: Record, *, masked: bool) -> None:
        if len(self.sources) <= _SOURCES:
            self.sources.add(record.source)
        # Hours of more sources than that are counted together: names are not to fill the index.
        place = (
            record.source if record.source in self.sources else "",
            record.time_ms - record.time_ms % HOUR_MS,
        )
        if place not in self.hours and len(self.hours) >= _HOURS:
            place = ("", self._now - self._now % HOUR_MS)
        counts = self.hours.setdefault(place, [0, 0, 0])
        counts[0] += 1
        counts[1] += record.severity >= ERROR
        counts[2] += masked

    def _pack(self) -> None:
        if not self._lines:
            return
        kept = [one for one, _ in self._lines]
        data = packed(kept)
        times = [record.time_ms for _, record in self._lines]
        block = Block(
            self._writer.tell(),
            len(data),
            sum(map(len, kept)) + len(kept) - 1,
            len(kept),
            min(times),
            max(times),
            max(record.severity for _, record in self._lines),
        )
        self._writer.write(data)
        self.blocks.append(block)
        self._lines, self._size = [], 0


def form_of(media: str, data_class: str) -> Form:
    """What a body of this media type is. Raises `unsupported-media-type`."""
    media = media.partition(";")[0].strip().lower()
    if media in ("application/x-ndjson", "application/jsonl", "application/ndjson"):
        return Form.NDJSON
    if media == "text/plain":
        return Form.LINES
    if media == "application/json" and data_class != "log":
        return Form.DOCUMENT
    raise WardlightError(
        "unsupported-media-type", "machine data is application/x-ndjson, text/plain or application/json"
    )


def told(found: Mapping[str, int]) -> list[str]:
    """What was found as the trail tells it: detectors and how often, nothing else."""
    return [f"{name}={count}" for name, count in sorted(found.items())]


def shown(body: Body) -> dict[str, Any]:
    """What became of a body."""
    return {
        "records": body.records,
        "masked": body.masked,
        "detectors": dict(sorted(body.found.items())),
        "bytes": body.length,
    }
