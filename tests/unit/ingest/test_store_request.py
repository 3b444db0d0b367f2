"""A store request keeps memory bounded and says what became of each file, whatever is sent and however it is cut."""

from __future__ import annotations

import hashlib
import random
import tracemalloc
import zlib

import pydicom
import pytest
from pydicom.data import get_testdata_file

from unit.web.fakes import TOKENS, Fakes, make, part10, protected
from wardlight.agreements.model import Level
from wardlight.deid.engine import METHODS
from wardlight.deid.profile import load_profile
from wardlight.dicom.transfer_syntax import DEFLATED, EXPLICIT_LITTLE
from wardlight.errors import WardlightError
from wardlight.ingest import service
from wardlight.ingest.admission import Admission
from wardlight.ingest.service import Origin, StoreRequest

REQUEST = "0" * 32


@pytest.fixture
def fakes() -> Fakes:
    return make()


def begin(fakes: Fakes, **origin) -> StoreRequest:
    return fakes.services.ingest.open(Origin(TOKENS["admin"], REQUEST, "192.0.2.1", **origin))


def send(request: StoreRequest, file: bytes, step: int = 1 << 20) -> None:
    request.begin()
    for start in range(0, len(file), step):
        request.write(memoryview(file)[start : start + step])
    request.end()


@pytest.mark.parametrize("step", [1, 7, 64, 1000, 1 << 20])
@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "JPEG2000.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "image_dfl.dcm",
        "reportsi.dcm",
    ],
)
def test_real_files_byte_by_byte(fakes: Fakes, name: str, step: int) -> None:
    with open(get_testdata_file(name), "rb") as stream:
        file = stream.read()
    request = begin(fakes)
    send(request, part10(9))  # so that the file does not start at 0
    send(request, file, step)
    outcomes = request.finish()
    assert [outcome.error for outcome in outcomes] == [None, None]
    row, stored = list(fakes.archive.instances_of.values())[-1]
    assert stored == file
    expected = pydicom.dcmread(get_testdata_file(name))
    assert row.sop_uid == expected.SOPInstanceUID
    assert row.sop_class == expected.SOPClassUID
    assert row.series_uid == expected.SeriesInstanceUID
    assert row.transfer_syntax == expected.file_meta.TransferSyntaxUID
    assert row.sha256 == hashlib.sha256(file[row.dataset_offset :]).digest()
    if row.transfer_syntax == DEFLATED.uid:
        assert (row.pixel, row.header_syntax) == (None, EXPLICIT_LITTLE)
    elif "PixelData" in expected:
        assert row.pixel is not None
        if row.pixel.length >= 0:
            assert file[row.pixel.offset :][: row.pixel.length] == expected.PixelData
        else:
            frames = [file[start : start + length] for start, length in row.pixel.fragments]
            assert frames == list(pydicom.encaps.generate_fragments(expected.PixelData))
        assert file[row.dataset_offset :].startswith(row.header)


def test_segments_are_one_a_study(fakes: Fakes) -> None:
    request = begin(fakes)
    for number in range(4):
        send(request, part10(number, study=f"1.{number % 2}", series=f"1.{number % 2}.1"))
    request.finish()
    assert fakes.archive.commits == len(fakes.archive.targets) == 2


def test_slices_bound_what_is_held(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_HELD_BYTES", 1000)
    request = begin(fakes)
    for number in range(30):
        send(request, part10(number))
        assert request._held <= 1000
    assert 1 < fakes.archive.commits < 15
    assert len(request.finish()) == len(fakes.archive.instances_of) == 30
    request = begin(fakes)
    for number in range(40):
        send(request, part10(1, study=f"2.{number}", series=f"2.{number}.1"))
        assert len(request._segments) <= 17
    request.finish()
    assert len(fakes.archive.instances_of) == 70


def test_abort_drops_everything(fakes: Fakes) -> None:
    request = begin(fakes)
    send(request, part10(1))
    request.begin()
    request.write(memoryview(part10(2))[:-2])
    request.abort()
    request.abort()
    assert fakes.archive.commits == 0
    assert all(writer.aborted for writer in fakes.archive.writers)


def test_one_study_stored_another_not(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    request = begin(fakes)
    send(request, part10(1, study="1.1"))
    send(request, part10(2, study="1.2"))
    commit = fakes.archive.commit

    def failing(target, *rest, **more):
        if target.study_uid == "1.2":
            raise WardlightError("unavailable")
        return commit(target, *rest, **more)

    monkeypatch.setattr(fakes.archive, "commit", failing)
    first, second = request.finish()
    assert first.error is None
    assert second.error is not None and second.error.kind.dicom == 0xA700
    assert [writer.aborted for writer in fakes.archive.writers] == [False, True]


def test_a_file_that_fails_leaves_no_trace(fakes: Fakes) -> None:
    request = begin(fakes)
    send(request, part10(1)[:-1])
    (outcome,) = request.finish()
    assert outcome.error is not None and outcome.error.code == "bad-data-set"
    assert fakes.archive.commits == 0
    assert fakes.archive.writers[0].aborted


def test_segment_that_cannot_be_opened(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_target: object) -> None:
        raise WardlightError("out-of-resources")

    monkeypatch.setattr(fakes.archive, "begin_segment", full)
    request = begin(fakes)
    with pytest.raises(WardlightError) as caught:
        send(request, part10(1))
    assert caught.value.code == "out-of-resources"


def test_people_store_into_images_only(fakes: Fakes) -> None:
    for origin in ({"application": "acme"}, {"level": Level.HIGH}):
        with pytest.raises(WardlightError) as caught:
            begin(fakes, **origin)
        assert caught.value.code == "forbidden"
    assert len(fakes.denials.events) == 2


# --- only what is protected as its level demands ---


def as_receiver(fakes: Fakes, level: Level = Level.HIGH) -> StoreRequest:
    fakes.agreements.levels["acme"] = set(Level)
    origin = Origin(TOKENS["receiver"], REQUEST, "192.0.2.1", application="acme", level=level)
    return fakes.services.ingest.open(origin)


@pytest.mark.parametrize("step", [1, 50, 1 << 20])
@pytest.mark.parametrize("level", [Level.HIGH, Level.MEDIUM, Level.LOW])
def test_what_a_level_leaves_is_taken(fakes: Fakes, level: Level, step: int) -> None:
    request = as_receiver(fakes, level)
    send(request, protected(1, level), step)
    assert [outcome.error for outcome in request.finish()] == [None]


HIGH = [METHODS[option][0] for option in ("basic", *load_profile("high").options)]


def test_reports_and_images_are_taken_with_the_codes_that_they_need(fakes: Fakes) -> None:
    request = as_receiver(fakes)
    send(request, protected(1, report=True))
    send(request, protected(2, codes=[code for code in HIGH if code != "113104"]))
    assert [one.error for one in request.finish()] == [None, None]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (part10(), "identity-removed"),
        (protected(removed=b"NO"), "identity-removed"),
        (protected(removed=b""), "identity-removed"),
        (protected(codes=[]), "method"),
        (protected(codes=["113100"]), "method"),
        (protected(codes=["113105", "113107", "113108"]), "method"),
        # Marked as what a weaker level leaves: real dates are kept.
        (protected(level=Level.LOW), "method"),
        (protected(codes=["113100", "113105", "113107", "113108", "113106"]), "method"),
        # What an image needs no more is asked of a report: its content items must have been cleaned.
        (protected(codes=[code for code in HIGH if code != "113104"], report=True), "method"),
        (protected(study="1.2.3"), "uid"),
        (protected(series="1.2.3"), "uid"),
    ],
)
def test_what_is_not_protected_is_refused(fakes: Fakes, file: bytes, reason: str) -> None:
    request = as_receiver(fakes)
    send(request, protected(7))
    send(request, file)
    kept, refused = request.finish()
    assert kept.error is None
    assert refused.error is not None
    assert (refused.error.code, refused.error.reason) == ("not-deidentified", reason)
    # A receiver puts an instance with this status into quarantine, and does not send it again.
    assert refused.error.kind.dicom not in (0xA700, 0x0110, 0x0124)
    assert len(fakes.archive.targets) == 1
    assert len(fakes.archive.instances_of) == 1


def test_at_identified_nothing_is_demanded(fakes: Fakes) -> None:
    request = as_receiver(fakes, Level.IDENTIFIED)
    send(request, part10())
    assert [outcome.error for outcome in request.finish()] == [None]


# --- memory and number of requests ---


def admit(fakes: Fakes, **limits: int) -> Admission:
    admission = Admission(**limits)
    fakes.services.ingest._admission = admission
    return admission


def large(number: int, size: int) -> bytes:
    """A file whose header takes `size` bytes more."""
    return part10(number, more=[(0x00091001, b"OB", bytes(size))])


def test_a_header_is_held_once(fakes: Fakes) -> None:
    file = large(1, 20 << 20)[:-4096]
    request = begin(fakes)
    tracemalloc.start()
    try:
        request.begin()
        for start in range(0, len(file) - 8192, 64 << 10):
            request.write(memoryview(bytes(file[start : start + (64 << 10)])))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A buffer that grows has an eighth to spare.
    assert used < 24 << 20
    request.abort()


def test_large_headers_share_a_budget(fakes: Fakes) -> None:
    admission = admit(fakes, held_bytes=3_000_000, principal_bytes=2_000_000)
    first, second = begin(fakes), begin(fakes)
    half = large(1, 1_500_000)[:1_400_000]
    first.begin()
    first.write(memoryview(half))
    second.begin()
    with pytest.raises(WardlightError) as caught:
        second.write(memoryview(half))
    assert (caught.value.code, caught.value.reason) == ("unavailable", "memory")
    second.abort()
    other = as_receiver(fakes, Level.IDENTIFIED)
    other.begin()
    other.write(memoryview(half))
    assert 2_800_000 <= admission.held <= 2_900_000
    first.abort()
    first.abort()
    other.abort()
    assert admission.held == 0
    # What was freed can be had again.
    third = begin(fakes)
    send(third, large(1, 1_500_000), 100_000)
    assert [outcome.error for outcome in third.finish()] == [None]
    assert admission.held == 0


def test_a_full_budget_commits_what_is_whole(fakes: Fakes) -> None:
    admit(fakes, held_bytes=2_000_000)
    request = begin(fakes)
    for number in range(1, 6):
        send(request, large(number, 900_000), 100_000)
    assert fakes.archive.commits >= 2
    assert [outcome.error for outcome in request.finish()] == [None] * 5


def test_what_deflated_data_inflates_to_is_counted(fakes: Fakes) -> None:
    admission = admit(fakes, held_bytes=1_000_000)
    dull = random.Random(1).randbytes(2_000_000).translate(bytes(n & 1 for n in range(256)))
    whole = part10(1, more=[(0x00091001, b"OB", dull)])
    start = len(part10(1, syntax=DEFLATED.uid)) - len(part10(1)) + whole.index(b"\x08\0\x16\0UI")
    head = part10(1, syntax=DEFLATED.uid)[:start]
    squeezed = zlib.compressobj(wbits=-15)
    body = squeezed.compress(whole[whole.index(b"\x08\0\x16\0UI") :]) + squeezed.flush()
    request = begin(fakes)
    request.begin()
    with pytest.raises(WardlightError) as caught:
        request.write(memoryview(head + body[:10]))
        request.write(memoryview(body[10:]))
    assert caught.value.reason == "memory"
    assert len(body) < 500_000
    request.abort()
    assert admission.held == 0


def test_requests_at_once_are_bounded(fakes: Fakes) -> None:
    admit(fakes, requests=3, principal_requests=2)
    mine = [begin(fakes), begin(fakes)]
    with pytest.raises(WardlightError) as caught:
        begin(fakes)
    assert (caught.value.code, caught.value.kind.http) == ("rate-limited", 429)
    other = as_receiver(fakes)
    with pytest.raises(WardlightError) as caught:
        as_receiver(fakes)
    assert (caught.value.code, caught.value.kind.http) == ("unavailable", 503)
    mine[0].abort()
    mine[0].abort()
    send(other, protected())
    other.finish()
    other.abort()
    begin(fakes).abort()
    as_receiver(fakes).abort()


# --- studies of one request ---


def test_nothing_is_reserved_before_the_header_is_whole_and_checked(fakes: Fakes) -> None:
    request = begin(fakes)
    file = part10(1, study="1.9")
    for bad in (
        file[: file.index(b"\xe0\x7f\x10\0")],  # may go on
        file.replace(b"1.2.3.4.1\0", b"          "),  # no SOP Instance UID
        b"x" * 200,
    ):
        request.begin()
        request.write(memoryview(bad))
    assert fakes.archive.targets == []
    request.abort()


def test_studies_of_a_request_are_bounded(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_STUDIES", 3)
    request = begin(fakes)
    for number in range(5):
        send(request, part10(1, study=f"2.{number}", series=f"2.{number}.1"))
    send(request, part10(2, study="2.0", series="2.0.1"))
    codes = [outcome.error.code if outcome.error else "" for outcome in request.finish()]
    assert codes == ["", "", "", "too-large", "too-large", ""]
    assert len(fakes.archive.targets) == 3
