"""GET …/audit/export: a bundle of the institution's log over HTTP (audit.md section 4)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from wardlight.access.model import Operation
from wardlight.audit.model import Target
from wardlight.audit.sessions import Reading
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.trail import csv_rows, dicom_message, fhir
from wardlight.trail.bundle import MEDIA_TYPE, Bundle, Range, signed_size
from wardlight.trail.call import ApiCall
from wardlight.trail.entry import Sealed, kept
from wardlight.trail.filters import whole
from wardlight.trail.service import Trail

Writer = Callable[[Iterable[Sealed], BinaryIO], None]


@dataclass(frozen=True, slots=True)
class Form:
    """A form of an export. write: None for the bundle, which is made of lines. ending: of the file's name."""

    write: Writer | None
    media_type: str
    ending: str


FORMS: Final = {
    "ndjson": Form(None, MEDIA_TYPE, "ndjson"),
    "csv": Form(csv_rows.write, csv_rows.MEDIA_TYPE, "csv"),
    "fhir": Form(fhir.write, fhir.MEDIA_TYPE, "fhir.ndjson"),
    "dicom": Form(dicom_message.write, dicom_message.MEDIA_TYPE, "xml"),
}
_MAX_SIZE: Final = (1 << 53) - 1
_MAX_GENERATION: Final = 1_000_000
#: Entries after which the read session is told of them, so that it does not end as idle.
_TOLD: Final = 256


def export(call: ApiCall) -> Answer:
    """The entries from `from` to before `to`, up to the newest head that a witness has signed, or the newest one.

    The export is in the trail before its first byte, but not in the bundle: no request waits for sealer and witness.
    Without `format` it is a bundle, the only form that can be verified.
    """
    call.scope.require(Operation.AUDIT)
    if not {"from", "to", "generation", "format"} >= call.query.keys():
        raise WardlightError("bad-request", "the parameters are from, to, generation and format")
    form = FORMS.get(call.query.get("format", "ndjson"))
    if form is None:
        raise WardlightError("bad-request", f"format is one of {', '.join(FORMS)}")
    trail = Trail(call.parts)
    head = trail.log(call.scope.institution, whole(call.query, "generation", 0, _MAX_GENERATION, 0))
    size = signed_size(call.parts.audit_log, head)
    start = whole(call.query, "from", 0, _MAX_SIZE, 0)
    stop = whole(call.query, "to", 0, _MAX_SIZE, size)
    if not start <= stop <= size:
        raise WardlightError("bad-request", f"the log has {size} entries; the range lies outside of them")
    if form.write is None:
        lines = Bundle(call.parts.database, call.parts.audit_log, head).lines(Range(start, stop, size))
    else:
        lines = _pieces(form.write, kept(call.parts.audit_log.entries(head, start, stop)))
    reading = trail.begin(call.scope, Target("log", id=head.origin))
    name = f"{head.origin.split('/audit/')[-1].replace('/', '-')}-{start}-{stop}.{form.ending}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    counted = _counted(lines, reading) if form.write is None else _told(lines, reading)
    return Answer(counted, form.media_type, headers=headers)


def _pieces(write: Writer, entries: Iterable[Sealed]) -> Iterator[bytes]:
    """What the writer makes of the entries, one entry a piece; before the first what stands above them all."""
    out = io.BytesIO()
    write((), out)
    above = len(out.getvalue())
    yield out.getvalue()
    for entry in entries:
        out = io.BytesIO()
        write((entry,), out)
        yield out.getvalue()[above:]


def _told(pieces: Iterator[bytes], reading: Reading) -> Iterator[bytes]:
    """The pieces; all but the first are an entry each, and told as they go."""
    results, sent = -1, 0
    try:
        for piece in pieces:
            results += 1
            sent += len(piece)
            yield piece
            if results == _TOLD:
                reading.count(results=results, bytes_=sent)
                results = sent = 0
    finally:
        reading.count(results=max(results, 0), bytes_=sent)


def _counted(lines: Iterator[bytes], reading: Reading) -> Iterator[bytes]:
    """The lines; what was given away of them is told as it goes, even where the client leaves."""
    results = sent = 0
    try:
        for line in lines:
            results += line.startswith((b'{"entry":', b'{"index":'))
            sent += len(line)
            yield line
            if results == _TOLD:
                reading.count(results=results, bytes_=sent)
                results = sent = 0
    finally:
        reading.count(results=results, bytes_=sent)
