"""Instances too large to hold, studies of very many, many patients: made piece by piece, never whole in memory."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import corpora
from bench.fast_store_scu import Instance
from bench.loaded import Names

_NATIVE = b"1.2.840.10008.1.2.1\0"
_ENCAPSULATED = b"1.2.840.10008.1.2.1.98"
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
FRAME_BYTES = 512 * 512 * 2


@dataclass(frozen=True, slots=True)
class Giant:
    """A Part 10 file in pieces, the larger of which are one and the same memory."""

    names: Names
    pieces: list[bytes | memoryview]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(map(len, self.pieces))


def multi_frame(root: Path, frames: int, *, encapsulated: bool = False) -> Giant:
    """An Enhanced CT of so many frames of 524,288 bytes, all with the same noise.

    encapsulated: one fragment a frame (PS3.5 section A.4.11), as native pixel data ends at 4 GiB.
    """
    number = frames + int(encapsulated)
    patient, study, series = 5000 + number, number, 1
    path = root / f"giant-{number}.dcm"
    ds = corpora.enhanced(patient, study, series, frames)
    corpora.save(ds, b"", path)
    content = path.read_bytes()
    path.unlink()
    head = content[: content.rindex(b"\xe0\x7f\x10\x00")]
    pixels = memoryview(corpora.noise(FRAME_BYTES))
    pieces: list[bytes | memoryview]
    if encapsulated:
        head = _with_syntax(head)
        offsets = struct.pack("<4sI", _ITEM, 0)
        pieces = [head, b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff", offsets]
        pieces += [struct.pack("<4sI", _ITEM, FRAME_BYTES), pixels] * frames
        pieces.append(_END)
    else:
        pieces = [head, b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", frames * FRAME_BYTES)]
        pieces += [pixels] * frames
    return Giant(Names(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)), pieces)


def _with_syntax(head: bytes) -> bytes:
    """The file head with the encapsulated syntax's UID, and the group's length counted anew (PS3.10 section 7.1)."""
    old = struct.pack("<HH2sH", 2, 0x10, b"UI", len(_NATIVE)) + _NATIVE
    new = struct.pack("<HH2sH", 2, 0x10, b"UI", len(_ENCAPSULATED)) + _ENCAPSULATED
    length = int(struct.unpack_from("<I", head, 140)[0]) + len(new) - len(old)
    return head[:140] + struct.pack("<I", length) + head[144:].replace(old, new, 1)


def crowd(root: Path, count: int) -> Iterator[tuple[Names, bytes]]:
    """A study of `count` instances of 8 × 8 pixels in series of 1,000: a template whose UIDs and numbers are set."""
    path = root / "crowd.dcm"
    ds = corpora.tiny()
    corpora.save(ds, bytes(128), path)
    template = path.read_bytes()
    path.unlink()
    names = Names(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID))
    number = str(ds.InstanceNumber).encode()
    assert template.count(names.instance.encode()) == 2 and len(number) == 6
    for index in range(count):
        series = names.series[:-6] + f"{index // 1000 + 100000:06d}"
        instance = names.instance[:-6] + f"{index + 100000:06d}"
        content = template.replace(names.instance.encode(), instance.encode())
        content = content.replace(names.series.encode(), series.encode())
        yield (
            Names(names.study, series, instance),
            content.replace(b"IS\x06\x00" + number, b"IS\x06\x00" + f"{index + 100000:06d}".encode()),
        )


PER_STUDY = 20


@dataclass(frozen=True, slots=True)
class Person:
    """What a study of the population is found by."""

    study: str
    patient_id: str
    name: str
    date: str


def person(number: int) -> Person:
    """Of the study of this number: a patient of its own, one of 1,008 days."""
    day = 20200101 + number % 28 + 100 * (number // 28 % 12) + 10000 * (number // 336 % 3)
    letters = "".join(chr(65 + number * 7919 // 26**place % 26) for place in range(6))
    return Person(
        f"{corpora.ROOT}81.{number + 1000000}", f"PID{number + 1000000}", f"{letters}^Hans", str(day)
    )


def population(root: Path, studies: Iterable[int]) -> Iterator[tuple[Names, bytes]]:
    """Studies of 20 instances of 8 × 8 pixels, each of another patient, as files."""
    path = root / "population.dcm"
    first = person(0)
    ds = corpora.tiny()
    ds.PatientName, ds.PatientID, ds.StudyDate = first.name, first.patient_id, first.date
    series, instance = corpora.ROOT + "82.1000000", corpora.ROOT + "83.100000000"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = first.study, series, instance
    corpora.save(ds, bytes(128), path)
    template = path.read_bytes()
    path.unlink()
    for study in studies:
        who = person(study)
        names = Names(who.study, f"{corpora.ROOT}82.{study + 1000000}", "")
        content = template
        for old, new in (
            (first.name, who.name),
            (first.patient_id, who.patient_id),
            (f"\x20\0DA\x08\0{first.date}", f"\x20\0DA\x08\0{who.date}"),  # Study Date only.
            (first.study, who.study),
            (series, names.series),
        ):
            content = content.replace(old.encode(), new.encode())
        for index in range(PER_STUDY):
            uid = f"{corpora.ROOT}83.{study + 1000000}{index:02d}"
            yield Names(names.study, names.series, uid), content.replace(instance.encode(), uid.encode())


def as_sent(names: Names, content: bytes) -> Instance:
    """A file of this module as C-STORE sends it."""
    start = 144 + int(struct.unpack_from("<I", content, 140)[0])
    return Instance(corpora.CT, names.instance, "1.2.840.10008.1.2.1", memoryview(content)[start:])
