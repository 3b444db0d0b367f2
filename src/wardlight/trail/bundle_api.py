"""GET …/audit/export: a bundle of the institution's log over HTTP (audit.md section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wardlight.access.model import Operation
from wardlight.audit.model import Target
from wardlight.audit.sessions import Reading
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.trail.bundle import MEDIA_TYPE, Bundle, Range, signed_size
from wardlight.trail.call import ApiCall
from wardlight.trail.filters import whole
from wardlight.trail.service import Trail

_MAX_SIZE: Final = (1 << 53) - 1
_MAX_GENERATION: Final = 1_000_000
#: Entries after which the read session is told of them, so that it does not end as idle.
_TOLD: Final = 256


def export(call: ApiCall) -> Answer:
    """The entries from `from` to before `to`, up to the newest head that a witness has signed, or the newest one.

    The export is in the trail before its first byte, but not in the bundle: no request waits for sealer and witness.
    """
    call.scope.require(Operation.AUDIT)
    if not {"from", "to", "generation"} >= call.query.keys():
        raise WardlightError("bad-request", "the parameters are from, to and generation")
    trail = Trail(call.parts)
    head = trail.log(call.scope.institution, whole(call.query, "generation", 0, _MAX_GENERATION, 0))
    size = signed_size(call.parts.audit_log, head)
    start = whole(call.query, "from", 0, _MAX_SIZE, 0)
    stop = whole(call.query, "to", 0, _MAX_SIZE, size)
    if not start <= stop <= size:
        raise WardlightError("bad-request", f"the log has {size} entries; the range lies outside of them")
    lines = Bundle(call.parts.database, call.parts.audit_log, head).lines(Range(start, stop, size))
    reading = trail.begin(call.scope, Target("log", id=head.origin))
    name = f"{head.origin.split('/audit/')[-1].replace('/', '-')}-{start}-{stop}.ndjson"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Answer(_counted(lines, reading), MEDIA_TYPE, headers=headers)


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
