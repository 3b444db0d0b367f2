"""Every real DICOM file through the whole of Wardlight: sent by C-STORE, found by QIDO-RS, fetched by WADO-RS.

On the `identified` route each accepted data set comes back byte-identical. At `high`, none of a file's own
identifying values is found in any output, database, object, log or temporary file. What became of each file stands
in docs/reference/interop.md, which this test compares (write it anew with WARDLIGHT_WRITE_DOCS=1).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from bench.fast_store_scu import Instance, Sender
from bench.fast_store_scu import Refused as AssociationEnded

import live
import real_files
from canary import Canaries
from wardlight.cli.deidentify_file import Worker
from wardlight.cli.deidentify_input import inputs
from wardlight.cli.deidentify_output import Outputs, prepare
from wardlight.decoding.pixel_reader import TextReader
from wardlight.deid.engine import Deidentifier
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import load_profile
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import read_meta, write_meta

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "interop.md"
#: Identifying values of these collections that are words of the program or the standard (`operator` is a log,
#: `anonymou` begins `anonymous`, PATIENT is a coded value, zeros are in file names). 12345678 is, in
#: UTF-16, part of the ramp 0, 1, 2 … that nibabel's phantoms have as pixels. Manufacturers stay at every level;
#: one file names its own as the institution.
VOCABULARY = frozenset(
    {
        "operator",
        "anonymou",
        "PATIENT",
        "000000000",
        "12345678",
        "GE MEDICAL SYSTEMS",
        "OFFIS",
        "HEAD",
        "BRAIN",
        "CHEST",
    }
)
STUDY, SERIES, SOP = "0020000D", "0020000E", "00080018"


def _instances() -> dict[str, Instance | str]:
    """File name → what to send, or why it cannot be sent by C-STORE at all."""
    rows: dict[str, Instance | str] = {}
    seen: set[str] = set()
    for path in real_files.paths():
        name = real_files.name_of(path)
        content = path.read_bytes()
        try:
            meta = read_meta(content, lenient=True)
        except DicomError as error:
            rows[name] = f"no DICOM file ({error.code})"
            continue
        ds = real_files.read(path)
        sop_class, sop_instance = str(ds.get("SOPClassUID", "")), str(ds.get("SOPInstanceUID", ""))
        if not sop_class or not sop_instance:
            rows[name] = "no SOP Class or Instance UID (a DICOMDIR, or a fragment)"
            continue
        data = content[meta.end :]
        if sop_instance in seen:
            # Variants of one image share a UID in these collections. Each is sent as an instance of its own: the last
            # digits of the UID are changed wherever it stands, its length is not.
            changed = _another(sop_instance, seen)
            data = data.replace(sop_instance.encode(), changed.encode())
            sop_instance = changed
        seen.add(sop_instance)
        rows[name] = Instance(sop_class, sop_instance, meta.transfer_syntax, memoryview(data))
    return rows


def _another(uid: str, seen: set[str]) -> str:
    for number in range(10, 100):
        changed = uid[:-2].rstrip(".0") + str(number)
        changed = changed[: len(uid)].ljust(len(uid), "7")
        if changed not in seen:
            return changed
    raise AssertionError("no UID of this length is left")


def _send(port: int, title: str, instance: Instance) -> str:
    """`stored`, or the status or rejection in words."""
    pair = (instance.sop_class, instance.transfer_syntax)
    try:
        with Sender(port, [pair], called_ae=title) as sender:
            if pair not in sender.contexts:
                return "presentation context not accepted"
            status = sender.store(instance).status
    except AssociationEnded:
        return "aborted"
    return "stored" if status == 0 else f"refused with {status:04X}H"


@pytest.fixture(scope="module")
def instances() -> dict[str, Instance | str]:
    return _instances()


@pytest.fixture(scope="module")
def wardlight(tmp_path_factory):
    with live.installation(
        tmp_path_factory.mktemp("real"), environment={"TMPDIR": str(tmp_path_factory.mktemp("t"))}
    ) as it:
        yield it


@pytest.fixture(scope="module")
def identified(wardlight, instances) -> dict[str, str]:
    """What became of each file on the `identified` route."""
    title = wardlight.ae_titles["identified"]
    outcomes = {
        name: _send(wardlight.dicom_port, title, row) if isinstance(row, Instance) else row
        for name, row in instances.items()
    }
    accepted = sum(1 for row in outcomes.values() if row == "stored")
    live.wait_until(lambda: _settled(wardlight) and wardlight.count() >= accepted, 120, "upload of all files")
    return outcomes


def _settled(wardlight) -> bool:
    status = wardlight.receiver_status()
    return status["queue"]["objects"] == 0


@pytest.mark.long
def test_every_accepted_data_set_comes_back_byte_identical(wardlight, instances, identified):
    compared = 0
    for name, outcome in identified.items():
        if outcome != "stored":
            continue
        sent = instances[name]
        found = wardlight.search(f"/instances?SOPInstanceUID={sent.sop_instance}")
        assert len(found) == 1, name
        study, series = found[0][STUDY]["Value"][0], found[0][SERIES]["Value"][0]
        body = wardlight.get(
            f"/studies/{study}/series/{series}/instances/{sent.sop_instance}",
            f"application/dicom; transfer-syntax={sent.transfer_syntax}",
        )
        assert body[read_meta(body).end :] == bytes(sent.data), name
        compared += 1
    assert compared >= 200


@pytest.mark.long
def test_what_is_refused_has_its_reason(instances, identified):
    reasons = {name: outcome for name, outcome in identified.items() if outcome != "stored"}
    # Truncated files (C000), those without a Study or Series UID (C000) or with a UID that is none (0117), and files
    # that are no SOP instances are all that may be refused.
    assert all(re.fullmatch(r"refused with (C000|0117)H|no .*", outcome) for outcome in reasons.values()), (
        reasons
    )


@pytest.mark.long
def test_a_stolen_copy_of_index_and_objects_tells_nothing(wardlight, identified, tmp_path):
    """Security test 5: database, WAL and objects, without the keystore, in five encodings."""
    del identified  # What was sent is what counts.
    for part in ("index", "objects"):
        shutil.copytree(wardlight.data / part, tmp_path / part)
    values: set[str] = set()
    for path in real_files.paths():
        ds = real_files.read(path)
        values |= real_files.identifying_values(path)
        for keyword in ("StudyDescription", "SeriesDescription", "PatientName", "PatientID"):
            values.add(str(ds.get(keyword, "") or "").strip())
    # Short numbers turn up in random identifiers by chance.
    values = {value for value in values - VOCABULARY if not value.isdigit() or len(value) >= 9}
    canaries = Canaries(values)
    assert canaries.count > 300
    assert canaries.search(tmp_path) == {}


@pytest.mark.long
def test_the_database_really_holds_the_studies(wardlight, identified):
    """The search above must not pass because there was nothing to find."""
    with sqlite3.connect(f"file:{wardlight.data / 'index' / 'index.db'}?mode=ro", uri=True) as connection:
        tables = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
        assert "archive_instance" in tables
        count = connection.execute("select count(*) from archive_instance").fetchone()[0]
    assert count >= sum(1 for row in identified.values() if row == "stored")
    assert (
        sum(path.stat().st_size for path in (wardlight.data / "objects").rglob("*") if path.is_file())
        > 50_000_000
    )


@pytest.fixture(scope="module")
def at_high(tmp_path_factory, instances):
    """An installation of its own: outcome by file, the running installation, its temporary folder."""
    temporary = tmp_path_factory.mktemp("tmpdir")
    with live.installation(tmp_path_factory.mktemp("high"), environment={"TMPDIR": str(temporary)}) as it:
        shutil.rmtree(it.data / "samples")  # Files to try things with, of other patients.
        sent = {}
        for name, row in instances.items():
            if isinstance(row, Instance):
                sent[name] = _send(it.dicom_port, it.ae_titles["high"], row)
        live.wait_until(lambda: _settled(it), 180, "the queue to empty")
        live.wait_until(
            lambda: (
                it.count() + it.receiver_status()["quarantine"]["objects"]
                >= sum(1 for outcome in sent.values() if outcome == "stored")
            ),
            60,
            "every object released or in quarantine",
        )
        yield it, sent, temporary


@pytest.mark.long
def test_at_high_no_identifying_value_is_found_anywhere(at_high, instances):
    wardlight, sent, temporary = at_high
    values: set[str] = set()
    for path in real_files.paths():
        if sent.get(real_files.name_of(path)) == "stored":
            values |= real_files.identifying_values(path)
    values |= {row.sop_instance for row in instances.values() if isinstance(row, Instance)}
    # Words that are values of an identifying element in one file and ordinary vocabulary in another.
    canaries = Canaries(values - VOCABULARY)
    assert canaries.count > 300
    places = {str(path): found for path, found in canaries.search(wardlight.data).items()}
    places |= canaries.search(temporary)
    log = canaries.find(wardlight.log.read_bytes())
    assert (places, log) == ({}, set())
    found: dict[str, set[str]] = {}
    for study in wardlight.search("/studies?includefield=all&limit=200"):
        uid = study[STUDY]["Value"][0]
        outputs = {
            "search": json.dumps(study).encode(),
            "metadata": wardlight.get(f"/studies/{uid}/metadata"),
            "study": wardlight.get(
                f"/studies/{uid}", 'multipart/related; type="application/dicom"; transfer-syntax=*'
            ),
        }
        for kind, output in outputs.items():
            found.setdefault(kind, set()).update(canaries.find(output))
    assert found == {"search": set(), "metadata": set(), "study": set()}


@pytest.mark.long
def test_at_high_released_files_keep_their_pixels_and_read_well(at_high):
    """What came out is valid for an independent reader."""
    from io import BytesIO

    import pydicom

    wardlight, _, _ = at_high
    count = 0
    for row in wardlight.search("/instances?limit=500"):
        body = wardlight.get(
            f"/studies/{row[STUDY]['Value'][0]}/series/{row[SERIES]['Value'][0]}/instances/{row[SOP]['Value'][0]}",
            "application/dicom; transfer-syntax=*",
        )
        ds = pydicom.dcmread(BytesIO(body))
        assert "PatientIdentityRemoved" in ds, (row[SOP]["Value"], ds.file_meta.TransferSyntaxUID, len(body))
        assert ds.PatientIdentityRemoved == "YES"
        assert ds.SOPInstanceUID == row[SOP]["Value"][0]
        count += 1
    assert count >= 60


@pytest.mark.long
def test_the_table_of_files_is_current(instances, identified, at_high, tmp_path):
    """What `wardlight deidentify` says of each file alone is what became of it in the running system."""
    wardlight, sent, _ = at_high
    secret = (wardlight.data / "receiver-secrets" / "hospital.key").read_bytes()
    keys = DeidKeys.derive(secret, "images", "high")
    rows, expected, quarantined = [], set(), Counter()
    with TextReader(1) as reader:
        prepare(tmp_path / "out")
        outputs = Outputs(tmp_path / "out")
        worker = Worker(Deidentifier(load_profile("high"), keys), outputs, report=False, reader=reader)
        for name, row in instances.items():
            high = sent.get(name, "–")
            if high == "stored":
                uid, reasons = _protect(worker, tmp_path, row)
                high = "quarantined: " + ", ".join(reasons) if reasons else "released"
                expected |= {uid} if uid else set()
                quarantined += Counter(reasons[:1])
            rows.append(f"| {name} | {identified[name]} | {high} |")
    assert {row[SOP]["Value"][0] for row in wardlight.search("/instances?limit=1000")} == expected
    assert wardlight.receiver_status()["quarantine"]["reasons"] == dict(quarantined)
    page = HEAD + "\n".join(rows) + "\n"
    if os.environ.get("WARDLIGHT_WRITE_DOCS"):
        PAGE.write_text(page, "utf-8")
    assert PAGE.read_text("utf-8") == page


def _protect(worker: Worker, folder: Path, sent: Instance) -> tuple[str, list[str]]:
    """The new SOP Instance UID, or the reasons why the object stays, as `wardlight deidentify` decides."""
    path = folder / "one.dcm"
    meta = write_meta(
        sent.sop_class, sent.sop_instance, sent.transfer_syntax,
        implementation_class_uid="1.2.3", implementation_version="TEST",
    )  # fmt: skip
    path.write_bytes(meta + bytes(sent.data))
    outcome = worker.process(next(iter(inputs(path))))
    return ("", list(outcome.reasons)) if outcome.reasons else (outcome.instance, [])


HEAD = """# What became of every test file

All DICOM files of pydicom's wheel, pydicom-data, deid-data and nibabel, sent by C-STORE with their data sets
untouched. *identified*: on the route of that level; `stored` ones come back byte-identical. *high*: on the default
route. Variants of one image that share a SOP Instance UID are sent under UIDs of their own.

Written by `tests/interop/test_real_files.py`.

| file | identified | high |
|---|---|---|
"""
