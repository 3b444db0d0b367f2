"""Values that one database takes and the other does not: both store them alike, or both refuse them alike."""

from __future__ import annotations

import pytest

import platform_kit
from archive_kit import Kit, dataset, incoming, part10
from platform_kit import a_platform
from wardlight.agreements.model import IMAGES, Level
from wardlight.archive.fsck import Fsck
from wardlight.archive.model import MatchKey, Query
from wardlight.bootstrap import WORKER
from wardlight.errors import WardlightError

VALUES = {
    "nul in a modality": (b"CS\x02\x00CT", b"CS\x02\x00\x00T"),
    "control characters": (b"CS\x02\x00CT", b"CS\x02\x00\x1bT"),
    "no text at all": (b"CS\x02\x00CT", b"CS\x02\x00\xff\xfe"),
    "number beyond 64 bits": (b"IS\x02\x0042", b"IS\x14\x0099999999999999999999"),
    "number of letters": (b"IS\x02\x0042", b"IS\x06\x00ABCDEF"),
    "negative number": (b"IS\x02\x0042", b"IS\x0c\x00-99999999999"),
    "no number": (b"IS\x02\x0042", b"IS\x02\x00\x00\x00"),
}


@pytest.fixture(scope="module", params=platform_kit.STORES)
def kit(request):
    before, platform_kit.chosen = platform_kit.chosen, request.param
    with a_platform() as platform:
        yield Kit(platform, platform.settings.data_dir)
    platform_kit.chosen = before


def outcome(kit, file: bytes, study: str) -> str:
    target = kit.archive.target(kit.institution.id, IMAGES, Level.IDENTIFIED, study)
    writer = kit.archive.begin_segment(target)
    try:
        one = incoming(file, 0)
        writer.write(file)
        (stored,) = kit.archive.commit(target, writer, [one], actor=kit.principal, request="0" * 32)
        return stored.outcome.value
    except WardlightError as error:
        return error.code


SEEN: dict[str, str] = {}


@pytest.mark.parametrize("what", VALUES)
def test_both_databases_take_the_same(kit, what):
    old, new = VALUES[what]
    study = f"1.2.826.0.1.{len(what)}.{len(new)}"
    file = part10(dataset(StudyInstanceUID=study, SeriesInstanceUID=study + ".1", InstanceNumber="42"))
    assert file.count(old) == 1
    found = outcome(kit, file.replace(old, new), study)
    assert SEEN.setdefault(what, found) == found
    assert found in ("stored", "bad-data-set")


@pytest.mark.parametrize("frames", ["2147483647", "9999999999", "0", "-5"])
def test_numbers_of_frames(kit, frames):
    study = f"1.2.826.0.2.{abs(int(frames))}"
    ds = dataset(StudyInstanceUID=study, SeriesInstanceUID=study + ".1", NumberOfFrames="1")
    even = frames.encode() + b" " * (len(frames) % 2)
    head = b"\x28\x00\x08\x00IS"
    file = part10(ds).replace(head + b"\x02\x001 ", head + len(even).to_bytes(2, "little") + even)
    assert even in file
    found = outcome(kit, file, study)
    assert SEEN.setdefault(frames, found) == found == "stored"


def test_searches_with_such_values_find_the_same(kit):
    found = []
    keys = [
        (0x00080061, "C\x00T"),
        (0x00080061, "ct"),
        (0x00080061, "CT"),
        (0x00100010, "M\x00*"),
        (0x00080020, "00000000-99999999"),
        (0x0020000D, "1.2\x003"),
        (0x00200010, "\ud800"),
    ]
    for key, value in keys:
        try:
            page = kit.archive.search_studies(kit.query, Query(keys=(MatchKey((key,), value),)))
            found.append(str(len(page.rows)))
        except WardlightError as error:
            found.append(error.code)
    assert SEEN.setdefault("searches", repr(found)) == repr(found)


def test_all_of_it_completes_and_is_whole(kit):
    kit.archive.complete(WORKER)
    platform = kit.platform
    report = Fsck(platform.database, platform.keystore, platform.objects, platform.recorder).check(deep=True)
    assert report.clean and report.instances > 5
