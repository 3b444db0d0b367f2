"""Exports of the trail for the administrator of the machine: a bundle, or entries in another form.

The export is entered in the log before anything of it is given away, and the bundle reaches up to that entry.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final
from uuid import UUID

from wardlight.audit import log_store
from wardlight.audit.actions import Action
from wardlight.audit.log import Head
from wardlight.audit.model import Actor, Event, Target
from wardlight.errors import WardlightError
from wardlight.trail import csv_rows, dicom_message, fhir
from wardlight.trail.bundle import Bundle, Range, signed_size
from wardlight.trail.entry import kept
from wardlight.trail.parts import Parts
from wardlight.trail.witnesses import Witnesses

#: Form of an export → what writes it; `ndjson` is the bundle, the only one that can be verified.
WRITERS: Final = {"csv": csv_rows.write, "fhir": fhir.write, "dicom": dicom_message.write}
FORMATS: Final = ("ndjson", *WRITERS)
#: So long an export waits for its own entry to be sealed, and for a witness to sign the head.
SEAL_S: Final = 15.0
WITNESS_S: Final = 12.0


@dataclass(frozen=True, slots=True)
class Export:
    """What is given away: entries of `span`. write: puts them into a file, piece by piece."""

    head: Head
    span: Range
    write: Callable[[BinaryIO], None]


def export(
    parts: Parts,
    witnesses: Witnesses,
    seal: Callable[[], int],
    institution: UUID | None,
    form: str,
    *,
    start: int = 0,
    stop: int | None = None,
    generation: int = 0,
    by: Actor,
) -> Export:
    """Enter the export in the log, have it sealed and cosigned, and give the entries from `start` to before `stop`.

    seal: one round of a sealer; others may be at work. generation: of the log, 0 is the one that is written now.
    Raises `bad-request` for a range outside the log, `unavailable` where the log is not sealed in time.
    """
    heads = parts.audit_log.logs(institution)
    found = [one for one in heads if generation in (0, one.generation)]
    if not found:
        raise WardlightError("not-found", "the log has no such generation")
    chosen = found[-1]
    event = Event(
        Action.AUDIT_ENTRY_EXPORT,
        by,
        target=Target("log", id=chosen.origin),
        purpose="HSYSADMIN",
        request=secrets.token_hex(16),
        detail={"format": form, "from": start} | ({"to": stop} if stop is not None else {}),
    )
    with parts.database.begin(institution) as tx:
        entry = parts.recorder.write(tx, institution, event)
    least = 0
    if chosen.generation == heads[-1].generation:
        chosen = _settle(parts, witnesses, seal, institution, entry)
        least = chosen.size
        chosen = parts.audit_log.head(chosen)
    size = signed_size(parts.audit_log, chosen, least)
    span = Range(start, size if stop is None else stop, size)
    if not 0 <= span.start <= span.stop <= size:
        raise WardlightError("bad-request", f"the log has {size} entries; the range lies outside of them")
    if form == "ndjson":
        lines = Bundle(parts.database, parts.audit_log, chosen).lines(span)
        return Export(chosen, span, lambda out: out.writelines(lines))
    entries = kept(parts.audit_log.entries(chosen, span.start, span.stop))
    return Export(chosen, span, lambda out: WRITERS[form](entries, out))


def _settle(
    parts: Parts, witnesses: Witnesses, seal: Callable[[], int], institution: UUID | None, entry: UUID
) -> Head:
    """The log once this entry, and so all before it, is sealed, and a witness had its chance to sign that head.

    Without a witness in time the export goes up to the newest head all the same, and says `unanchored` from where the
    last witness left off: nothing is left out in silence.
    """
    deadline = time.monotonic() + SEAL_S
    while True:
        seal()
        head = parts.audit_log.logs(institution)[-1]
        if head.halted:
            raise WardlightError(
                "conflict",
                "the log was stopped as its signer refused it: see `wardlight admin audit-continue`",
            )
        with parts.database.read(institution) as tx:
            sealed = log_store.known_ids(tx, head.log, [entry])
        if sealed:
            break
        if time.monotonic() > deadline:
            raise WardlightError("unavailable", "the log was not sealed in time; is the worker at work?")
        time.sleep(0.1)
    head = parts.audit_log.head(head)
    if witnesses.active(institution):
        witnesses.ask(institution, WITNESS_S)
    return head
