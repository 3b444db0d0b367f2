"""Security test 22, zip: archives made to unpack into more than they are, or to be read twice, are not opened."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from wardlight.cli.deidentify_input import BadInput, Input, archive_members, opened

SIZE = 24  # of a central directory entry: where the uncompressed size stands
OFFSET = 42


def archive(**members: bytes) -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return bytearray(buffer.getvalue())


def entries(data: bytearray) -> list[int]:
    """Where the central directory's entries stand."""
    found, place = [], data.find(b"PK\1\2")
    while place >= 0:
        found.append(place)
        place = data.find(b"PK\1\2", place + 1)
    return found


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(BadInput) as error:
        archive_members(path)
    return error.value.code


def test_overlapping_members(tmp_path):
    """The way of Fifield's bomb and of a quine: many entries, one body."""
    data = archive(a=b"x" * 100, b=b"y" * 100)
    struct.pack_into("<I", data, entries(data)[1] + OFFSET, 0)
    assert refusal(tmp_path / "a.zip", data) == "zip-overlapping"
    data = archive(a=bytes(range(256)) * 4, b=b"y" * 100)
    struct.pack_into("<I", data, entries(data)[1] + OFFSET, 40)
    assert refusal(tmp_path / "b.zip", data) == "zip-overlapping"


def test_ratio_and_whole_size(tmp_path):
    assert refusal(tmp_path / "a.zip", archive(a=bytes(20 << 20))) == "zip-ratio"
    data = archive(**{f"f{number}": b"x" for number in range(20)})
    for place in entries(data):
        struct.pack_into("<I", data, place + SIZE, 0xF0000000)
    assert refusal(tmp_path / "b.zip", data) in ("zip-too-large", "zip-ratio")


def test_too_many_members(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for number in range(100_001):
            made.writestr(zipfile.ZipInfo(f"{number}"), b"")
    assert refusal(tmp_path / "a.zip", buffer.getvalue()) == "zip-too-large"


def test_encrypted_members_and_links(tmp_path):
    data = archive(a=b"x")
    data[entries(data)[0] + 8] |= 1
    assert refusal(tmp_path / "a.zip", data) == "zip-encrypted"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
    assert refusal(tmp_path / "b.zip", buffer.getvalue()) == "zip-link"


def test_a_member_is_never_longer_than_it_says(tmp_path):
    """The sizes that were checked are the sizes that are read, whatever the compressed stream holds."""
    data = archive(a=bytes(8 << 20))
    for signature, place in ((b"PK\3\4", 22), (b"PK\1\2", SIZE)):
        struct.pack_into("<I", data, data.find(signature) + place, 1000)
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with (
        pytest.raises(BadInput, match="zip-damaged"),
        opened(Input(1, path, archive_members(path)[0])) as member,
    ):
        total = 0
        while piece := member.read(1 << 16):
            total += len(piece)
            assert total <= 1000


@pytest.mark.parametrize("cut", [1, 30, 60, 90])
def test_damaged_archives(tmp_path, cut):
    data = archive(a=b"x" * 50)
    path = tmp_path / "a.zip"
    path.write_bytes(data[:-cut])
    with pytest.raises(BadInput):
        archive_members(path)
