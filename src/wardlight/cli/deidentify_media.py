"""Media of de-identified files: a new DICOMDIR with names that the media profiles allow, and zip archives.

Nothing here reads an original: directory records are made of the outputs alone (PS3.3 Annex F, PS3.10 section 8).
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Final
from uuid import UUID

from wardlight.cli.deidentify_media_records import Recorded, recorded
from wardlight.dicom.codec import EXPLICIT_LE
from wardlight.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.part10 import write_meta
from wardlight.dicom.rewrite import encode_element
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

__all__ = ["write_dicomdir", "write_zip"]

_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
#: An entry of a zip archive says no time.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
_FOLDERS: Final = ("PA", "ST", "SE")
#: Where a record says the offset of the next beside it, and of the first below it.
_NEXT_AT: Final = 8
_LOWER_AT: Final = 30
_ITEM_HEAD: Final = 8


@dataclass(slots=True)
class _Node:
    """One directory record with those below it. name: of its folder."""

    record: bytes
    below: list[_Node]
    name: str = ""


def write_dicomdir(outputs: Iterable[Path], target: Path) -> Path:
    """Make a media folder of de-identified files: DICOMDIR, and the files under legal names; returns the DICOMDIR.

    outputs: de-identified DICOM files, already published; they stay where they are. target: folder of the media, made
    where it is not there; a DICOMDIR in it is replaced at the end, files of the same name too. The files appear as
    DICOM/PA000000/ST000000/SE000000/IM000000, hard links where the file system has them, else copies, so the media
    folder takes no space of its own next to the outputs; `target` is best another folder than that of the outputs
    (OUT/MEDIA for OUT), and `write_zip(target, …)` packs it. The order, hence every name, follows from the outputs
    alone. Raises ValueError where an output is no DICOM file or there is none, OSError from the file system.
    """
    files = sorted((recorded(path) for path in outputs), key=lambda file: file.order)
    if not files:
        raise ValueError("a media directory needs at least one file")
    target.mkdir(parents=True, exist_ok=True)
    root = _tree(files, target)
    path = target / "DICOMDIR"
    partial = target / ".DICOMDIR.partial"
    partial.write_bytes(_directory(root))
    partial.replace(path)
    return path


def write_zip(folder: Path, target: Path) -> None:
    """Pack every file of a folder into a new zip archive, without times, owners or anything but their paths in it.

    Stored, for images hardly deflate; written under another name first. Raises FileExistsError, OSError.
    """
    if target.exists():
        raise FileExistsError(target.name)
    partial = target.with_name(f".{target.name}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name, folders, files in os.walk(folder):
            folders.sort()
            for file in sorted(files):
                path = Path(name, file)
                if path in (partial, target) or not path.is_file():
                    continue
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _NO_TIME)
                entry.external_attr = 0o600 << 16
                entry.file_size = path.stat().st_size
                with path.open("rb") as source, archive.open(entry, "w") as member:
                    shutil.copyfileobj(source, member, 1 << 20)
    partial.replace(target)


def _tree(files: list[Recorded], target: Path) -> list[_Node]:
    """The records in their order; each file gets its place on the way."""
    root: list[_Node] = []
    open_nodes: list[tuple[str, _Node]] = []
    for file in files:
        keys = file.order[:3]
        while open_nodes and tuple(key for key, _ in open_nodes) != keys[: len(open_nodes)]:
            open_nodes.pop()
        for depth in range(len(open_nodes), 3):
            siblings = open_nodes[-1][1].below if open_nodes else root
            node = _Node(file.records[depth], [], f"{_FOLDERS[depth]}{len(siblings):06d}")
            siblings.append(node)
            open_nodes.append((keys[depth], node))
        series = open_nodes[-1][1]
        parts = ("DICOM", *(node.name for _, node in open_nodes), f"IM{len(series.below):06d}")
        series.below.append(_Node(_with_file_id(file.records[3], parts), []))
        _place(file.path, target.joinpath(*parts))
    return root


def _place(source: Path, target: Path) -> None:
    """The file under its new name, without another copy of its bytes where that can be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _with_file_id(record: bytes, parts: tuple[str, ...]) -> bytes:
    """The record with its file's name (0004,1500), which stands before (0004,1510)."""
    element = encode_element(EXPLICIT_LE, 0x00041500, b"CS", "\\".join(parts).encode("ascii"))
    after = record.index(b"\x04\x00\x30\x14CS")
    place = after + 8 + int.from_bytes(record[after + 6 : after + 8], "little")
    return record[:place] + element + record[place:]


def _directory(root: list[_Node]) -> bytes:
    """The bytes of a DICOMDIR: each record knows the offset of the next beside it and of the first below it."""
    nodes = list(_walk(root))
    digest = sha256(b"".join(node.record for node in nodes)).digest()
    uid = f"2.25.{UUID(bytes=digest[:16], version=5).int}"
    meta = write_meta(
        _MEDIA_DIRECTORY,
        uid,
        EXPLICIT_LITTLE.uid,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION,
    )
    length = sum(_ITEM_HEAD + len(node.record) for node in nodes)
    start = len(meta) + len(_head(0, 0, length))
    places: dict[int, int] = {}
    for node in nodes:
        places[id(node)] = start
        start += _ITEM_HEAD + len(node.record)
    following = {
        id(one): places[id(other)]
        for siblings in (root, *(node.below for node in nodes))
        for one, other in pairwise(siblings)
    }
    parts = [meta, _head(places[id(root[0])], places[id(root[-1])], length)]
    for node in nodes:
        record = bytearray(node.record)
        record[_NEXT_AT : _NEXT_AT + 4] = following.get(id(node), 0).to_bytes(4, "little")
        lower = places[id(node.below[0])] if node.below else 0
        record[_LOWER_AT : _LOWER_AT + 4] = lower.to_bytes(4, "little")
        parts += (b"\xfe\xff\x00\xe0" + len(record).to_bytes(4, "little"), bytes(record))
    return b"".join(parts)


def _head(first: int, last: int, length: int) -> bytes:
    """What stands before the records; length: of the sequence's value in bytes."""
    return b"".join(
        (
            encode_element(EXPLICIT_LE, 0x00041130, b"CS", b""),
            encode_element(EXPLICIT_LE, 0x00041200, b"UL", first.to_bytes(4, "little")),
            encode_element(EXPLICIT_LE, 0x00041202, b"UL", last.to_bytes(4, "little")),
            encode_element(EXPLICIT_LE, 0x00041212, b"US", b"\0\0"),
            b"\x04\x00\x20\x12SQ\0\0" + length.to_bytes(4, "little"),
        )
    )


def _walk(nodes: list[_Node]) -> Iterator[_Node]:
    for node in nodes:
        yield node
        yield from _walk(node.below)
