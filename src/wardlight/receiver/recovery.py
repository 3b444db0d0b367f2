"""At the start: find acknowledged objects that no row knows, and files that lost what was acknowledged."""

from __future__ import annotations

from wardlight import log
from wardlight.dicom.errors import DicomError
from wardlight.errors import WardlightError
from wardlight.receiver.model import Received
from wardlight.receiver.reading import read_header
from wardlight.receiver.secrets import ReceiverSecrets
from wardlight.receiver.sink import STUDY, Arrival, read_identifiers
from wardlight.receiver.spool import Spool, SpoolRef, Verdict
from wardlight.receiver.store import ReceiverStore

_BATCH = 500


def recover(store: ReceiverStore, spool: Spool, secrets: ReceiverSecrets) -> int:
    """Read every spool file that is not settled; returns how many objects were entered.

    To be called by the only process that receives, before it does. Torn tails are dropped: they were never
    acknowledged. A damaged file is kept, with an alarm; what can be read of it is uploaded.
    """
    spool.sweep()
    settled = store.settled_files()
    found = 0
    for file_id in spool.files():
        if file_id not in settled and spool.finished(file_id):
            found += recover_file(file_id, store, spool, secrets)
    if found:
        log.warning("receiver.recovered", count=found)
    return found


def recover_file(file_id: str, store: ReceiverStore, spool: Spool, secrets: ReceiverSecrets) -> int:
    """Enter the objects of one finished file that no row knows, and settle it. Returns how many were entered."""
    watermark = store.watermark(file_id)
    try:
        scan = spool.scan(file_id, watermark)
    except WardlightError as error:
        log.error("receiver.spool_unreadable", error, file_id=file_id, code=error.code)
        store.settle(file_id, damaged=True)
        return 0
    damaged = scan.verdict is Verdict.DAMAGED
    if damaged:
        log.error("receiver.spool_damaged", file_id=file_id, offset=scan.end)
    found = 0
    batch: list[Received] = []
    for ref, meta in scan.objects:
        try:
            batch.append(_received(spool, ref, meta, secrets))
        except (WardlightError, DicomError, KeyError, ValueError) as error:
            log.error("receiver.spool_object_unknown", error, file_id=file_id, offset=ref.offset)
            damaged = True
        if len(batch) >= _BATCH:
            found += store.register(batch)
            batch = []
    found += store.register(batch)
    store.settle(file_id, damaged=damaged)
    return found


def _received(spool: Spool, ref: SpoolRef, meta: dict[str, str], secrets: ReceiverSecrets) -> Received:
    arrival = Arrival.from_meta(meta)
    stream = read_header(spool, ref, arrival.transfer_syntax)
    study = secrets.study_token(read_identifiers(stream)[STUDY])
    return arrival.received(ref, study, None)
