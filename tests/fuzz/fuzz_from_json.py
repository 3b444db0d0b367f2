"""Atheris target: models and requests of metadata end in a data set or one typed error, and what is made can be read.

Run: `python tests/fuzz/fuzz_from_json.py -max_total_time=120`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports():
    from wardlight.dicom.codestream import inspect
    from wardlight.dicom.from_json import ModelError, encode, from_json
    from wardlight.dicom.json import to_json
    from wardlight.dicom.native_model import from_native
    from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE
    from wardlight.dicomweb.store import StoreCall, open_store
    from wardlight.errors import WardlightError

from unit.web.fakes import TOKENS, make

SEED = (
    b'[{"00080016":{"vr":"UI","Value":["1.2"]},"00080018":{"vr":"UI","Value":["1.2.3"]},"0020000D":{"vr":"UI",'
    b'"Value":["1"]},"0020000E":{"vr":"UI","Value":["1.1"]},"00081140":{"vr":"SQ","Value":[{}]},'
    b'"7FE00010":{"vr":"OW","BulkDataURI":"b"}}]'
)
FAKES = make()
HEADERS = {"content-type": 'multipart/related; type="application/dicom+json"; boundary=b'}
ANSWERS = frozenset((400, 409, 413))


def check_model(data: bytes) -> None:
    """A model is encoded so that it can be read, or is refused."""
    try:
        models = json.loads(data)
    except (ValueError, RecursionError):
        return
    for model in models if isinstance(models, list) else [models]:
        try:
            encode(model, lambda _uri, _pixels: None)
            made = from_json(model)
        except ModelError:
            continue
        to_json(made, EXPLICIT_LITTLE)


def check_request(data: bytes) -> None:
    """A whole request is answered as the standard has it, and nothing stays behind."""
    call = StoreCall(
        FAKES.services.ingest, TOKENS["admin"], "0" * 32, "http://h", "127.0.0.1", {}, "", HEADERS
    )
    exchange = open_store(call)
    try:
        assert exchange.finish([data]).status in (200, 202, 409)
    except WardlightError as error:
        assert error.kind.http in ANSWERS, error.code
        exchange.abort()
    assert FAKES.services.ingest._admission.held == 0


def test_one_input(data: bytes) -> None:
    """Called by libFuzzer."""
    kind, data = data[:1], data[1:]
    if kind < b"\x40":
        check_model(data)
    elif kind < b"\x60":
        inspect(data)
    elif kind < b"\x80":
        try:
            from_native(data)
        except ModelError:
            pass
    else:
        check_request(data)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as corpus:
        part = b"--b\r\nContent-Type: application/dicom+json\r\n\r\n" + SEED
        bulk = b"\r\n--b\r\nContent-Type: image/jls\r\nContent-Location: b\r\n\r\n\xff\xd8\xff\xf7\r\n--b--"
        native = b'<NativeDicomModel><DicomAttribute tag="00100010" vr="PN"/></NativeDicomModel>'
        for number, seed in enumerate((b"\0" + SEED, b"\x70" + native, b"\xff" + part + bulk)):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([*sys.argv, corpus], test_one_input)
        atheris.Fuzz()
