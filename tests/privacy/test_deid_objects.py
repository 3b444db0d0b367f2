"""Canaries in an object of each kind: released clean, or kept in quarantine for a reason that holds no value.

pydicom reads the output as the second opinion, and every byte of it is searched.
"""

from __future__ import annotations

import re

import pytest

from deid_kit import decode, deidentifier, survivors
from deid_objects import KINDS, Made, made, stream_of
from reader_kit import FakeReader
from wardlight.deid.burned_in import PixelReader
from wardlight.deid.protect import NOT_RELEASED, protect, reasons_of
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, IMPLICIT_LITTLE, TransferSyntax

#: Kinds that need a reader of pixels.
READ = frozenset(("US multi-frame", "secondary capture"))
#: What low keeps, which is no identifier of the patient: device and descriptions.
KEPT_AT_LOW = frozenset(("station", "serial", "detector", "machine", "free"))
_REASON = re.compile(r"[a-z][a-z0-9:-]*(?: (?:\([0-9a-f]{4},[0-9a-f]{4}\))+)?")


def leaving(one: Made, level: str, reader: PixelReader | None) -> tuple[bytes, list[str]]:
    """What leaves of an object, b"" for nothing, and why nothing does."""
    stream, value = stream_of(one.file)
    try:
        protected = protect(deidentifier(level), stream, lambda: iter([value]), reader=reader)
        result = protected.result
        length = len(value) if result.body_length is None else result.body_length
        body = b"".join(bytes(piece) for piece in protected.through([value[:length]])) if value else b""
    except NOT_RELEASED as error:
        return b"", list(reasons_of(error))
    return result.header + result.pixel_head + body, []


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE], ids=lambda one: one.name)
@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_no_canary_survives(level: str, syntax: TransferSyntax) -> None:
    held: dict[str, list[str]] = {}
    for kind in KINDS:
        one = made(kind, syntax)
        assert set(survivors(one.mint.values, one.file, one.data_set)) == set(one.mint.values), kind
        out, reasons = leaving(one, level, FakeReader())
        if not out:
            held[kind] = reasons
            assert reasons and all(_REASON.fullmatch(reason) for reason in reasons), (kind, reasons)
            continue
        values = {
            name: value
            for name, value in one.mint.values.items()
            if level != "low" or name not in KEPT_AT_LOW
        }
        left = survivors(values, out, decode(out, syntax))
        assert not left, (kind, left)
    # A document with words that may not stay is no document any more without them: it stays as a whole.
    assert held == ({} if level == "low" else {"encapsulated PDF": ["document-words"]})


def test_without_a_reader_pixels_with_text_stay() -> None:
    for kind in READ:
        out, reasons = leaving(made(kind), "high", None)
        assert not out and "detector-unavailable" in reasons, kind
