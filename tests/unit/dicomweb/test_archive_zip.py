"""A study as a zip: what another reader makes of it, and its length before it is made."""

from __future__ import annotations

import io
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from wardlight.dicomweb import archive_zip
from wardlight.dicomweb.call import Call
from wardlight.dicomweb.media import ZIP
from wardlight.errors import WardlightError


@dataclass
class Files:
    """An archive of files that exist only as a length and a letter."""

    lengths: list[tuple[str, int]]
    read_bytes: int = 0
    syntax: str = "1.2.840.10008.1.2.1"
    checksums: int = field(default=0)

    def instances(self, *_: Any) -> list[Any]:
        return [
            SimpleNamespace(
                row=uuid.UUID(int=number), series_uid=series, length=length, transfer_syntax=self.syntax
            )
            for number, (series, length) in enumerate(self.lengths)
        ]

    def read(self, _scope: Any, location: Any) -> Iterator[bytes]:
        left = location.length
        while left:
            piece = bytes(min(left, 1 << 20))
            left -= len(piece)
            self.read_bytes += len(piece)
            yield piece

    def checksum(self, _scope: Any, location: Any) -> int:
        self.checksums += 1
        value = 0
        for piece in self.read(None, location):
            value = zlib.crc32(piece, value)
        return value


def call(files: Files, accept: str = ZIP, **path: str) -> Call:
    path = path or {"study": "1.2"}
    return Call(files, None, None, "http://h/dicom-web", path, "", accept)  # type: ignore[arg-type]


def test_names_are_our_numbers_in_the_order_of_retrieval() -> None:
    files = Files([("1.3", 10), ("1.3", 0), ("1.2", 5 << 20), ("1.4", 7)])
    answer = archive_zip.instances(call(files))
    body = b"".join(answer.body)
    assert answer.length == len(body)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="study.zip"'
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert [(row.filename, row.file_size) for row in archive.infolist()] == [
            ("series-001/instance-00001.dcm", 10),
            ("series-001/instance-00002.dcm", 0),
            ("series-002/instance-00001.dcm", 5 << 20),
            ("series-003/instance-00001.dcm", 7),
        ]
        assert {row.compress_type for row in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {row.flag_bits for row in archive.infolist()} == {0}  # readers of streams take it
    assert files.checksums == 1  # of the large one; the others were read once


def test_more_files_than_sixteen_bits() -> None:
    files = Files([("1.3", 1)] * 70_000)
    answer = archive_zip.instances(call(files))
    body = b"".join(answer.body)
    assert answer.length == len(body)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert len(archive.infolist()) == 70_000
        assert archive.namelist()[-1] == "series-001/instance-70000.dcm"


@pytest.mark.parametrize(
    "lengths", [[4 << 30, 3], [3 << 30, 3 << 30, 5], [(1 << 32) - 1], [(1 << 32) - 2, 1]]
)
def test_sizes_beyond_32_bits(lengths, monkeypatch, tmp_path) -> None:
    """Into a file with holes, so that gigabytes cost neither disk nor time; their checksums are not looked at."""
    monkeypatch.setattr(Files, "checksum", lambda *_: 0)
    monkeypatch.setattr(Files, "read", lambda _self, _scope, location: iter((location.length,)))
    files = Files([("1.3", length) for length in lengths])
    answer = archive_zip.instances(call(files))
    monkeypatch.setattr(archive_zip, "_HELD", -1)
    path = tmp_path / "study.zip"
    with open(path, "wb") as file:
        for piece in answer.body:
            if isinstance(piece, int):
                file.seek(piece, io.SEEK_CUR)
            else:
                file.write(piece)
        assert file.tell() == answer.length
    with zipfile.ZipFile(path) as archive:
        assert [row.file_size for row in archive.infolist()] == lengths
        # Its local header is where the directory says.
        archive.open(archive.infolist()[-1]).close()


def test_memory_is_flat() -> None:
    import tracemalloc

    files = Files([("1.3", 40 << 20)] * 3)
    body = archive_zip.instances(call(files)).body
    tracemalloc.start()
    assert sum(map(len, body)) > 120 << 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_transfer_syntaxes_that_are_asked_for() -> None:
    jpeg = "1.2.840.10008.1.2.4.50"
    files = Files([("1.3", 1)], syntax=jpeg)
    for accept in (ZIP, f"{ZIP}; transfer-syntax=*", f"{ZIP}; transfer-syntax={jpeg}", "*/*"):
        assert archive_zip.instances(call(files, accept)).content_type == ZIP
    with pytest.raises(WardlightError) as error:
        archive_zip.instances(call(files, f"{ZIP}; transfer-syntax=1.2.840.10008.1.2.4.90"))
    assert error.value.code == "not-acceptable"


def test_the_file_is_named_by_its_level() -> None:
    for path, name in (
        ({"study": "1.2"}, "study"),
        ({"study": "1.2", "series": "1.3"}, "series"),
        ({"study": "1.2", "series": "1.3", "instance": "1.4"}, "instance"),
    ):
        answer = archive_zip.instances(call(Files([("1.3", 1)]), **path))
        assert f'filename="{name}.zip"' in answer.headers["Content-Disposition"]
