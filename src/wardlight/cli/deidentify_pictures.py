"""Small pictures for the report, drawn in a sandboxed process: of some objects of each study, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from wardlight.archive import frames as archive_frames
from wardlight.archive.model import PixelIndex
from wardlight.cli.deidentify_file import Source
from wardlight.cli.deidentify_input import BadInput, Input, inputs, opened
from wardlight.cli.deidentify_journal import Journal
from wardlight.decoding.pool import DecoderPool
from wardlight.decoding.render_plan import View
from wardlight.deid.report_model import Outcome, Picture
from wardlight.dicom.errors import DicomError
from wardlight.dicom.stream import DataSetStream
from wardlight.dicomweb.rendered_attributes import top_level
from wardlight.dicomweb.rendered_parameters import Parameters
from wardlight.dicomweb.rendered_plan import ImageHeader, plan_for
from wardlight.errors import WardlightError

#: Objects with pictures in a study, and in a run: a report is for reading.
PER_STUDY: Final = 8
PER_RUN: Final = 400
#: Pixels of the longer side.
_SIZE: Final = 208
#: Larger pixel data is not read to its end for a picture, in bytes.
_LARGEST: Final = 64 << 20
_PIXEL_DATA: Final = 0x7FE00010
_MODULE: Final = "wardlight.decoding.render_review"


class Pictures:
    """Draws pictures of the objects of studies. target: None where nothing was written."""

    def __init__(self, journal: Journal, source: Path, target: Path | None) -> None:
        self._journal = journal
        self._root = source if source.is_dir() else source.parent
        self._target = target
        self._pool: DecoderPool | None = None
        wanted: set[int] = set()
        for uid in journal.studies():
            if uid and len(wanted) < PER_RUN:
                wanted.update(one.number for one in chosen(tuple(journal.outcomes(uid))))
        self._inputs = (
            {item.number: item for item in inputs(source) if item.number in wanted} if wanted else {}
        )
        try:
            if self._inputs:
                self._pool = DecoderPool(1, modules=(_MODULE,))
        except WardlightError:
            pass  # Where nothing can confine a decoder, a report has no pictures.

    def close(self) -> None:
        """End the decoder."""
        if self._pool is not None:
            self._pool.close()

    def of(self, outcomes: Sequence[Outcome]) -> tuple[Picture, ...]:
        """Pictures of some of the objects; of those that cannot be drawn, none."""
        found = []
        for one in chosen(outcomes):
            item = self._inputs.get(one.number)
            # In another file the boxes would hide nothing.
            if item is None or not self._journal.is_input(item, self._root):
                continue
            output = None
            if self._target is not None:
                output = Input(0, self._target / one.study / one.series / f"{one.instance}.dcm")
            if one.boxes:
                before, after = self._draw(item, one.boxes), self._draw(output, ()) if output else b""
            else:
                before, after = self._draw(output or item, ()), b""
            if before:
                found.append(Picture(one.instance, before, after))
        return tuple(found)

    def _draw(self, item: Input, boxes: Sequence[tuple[int, int, int, int]]) -> bytes:
        """The picture of an object's middle frame as PNG, b"" where there is none."""
        if self._pool is None:
            return b""
        try:
            read = _read(item)
            if read is None:
                return b""
            image, number, frame = read
            plan, parts = plan_for(image, number, Parameters(view=View(_SIZE, _SIZE)))
            arguments = {
                "frame": image.frame.to_json(),
                "plan": plan.to_json(),
                "boxes": [list(b) for b in boxes],
            }
            return self._pool.run("review", arguments, [frame, *parts])[1][0]
        except (WardlightError, DicomError, BadInput, OSError, ValueError, IndexError):
            return b""


def chosen(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The objects of a study to be shown: those with boxes, then the first of each series."""
    released = [one for one in outcomes if one.kind == "released"]
    found = {one.number: one for one in released if one.boxes}
    series: set[str] = set()
    for one in released:
        if one.series not in series:
            series.add(one.series)
            found.setdefault(one.number, one)
    return list(found.values())[:PER_STUDY]


def _read(item: Input) -> tuple[ImageHeader, int, bytes] | None:
    """The header as an image's, which frame was read, counting from 1, and its bytes; None where it is no image."""
    with opened(item) as file:
        source = Source(file)
        stream = source.header()
        pixel = stream.pixel
        if pixel is None or stream.syntax.deflated:
            return None
        header = stream.header or b""
        image = ImageHeader(
            top_level(header, stream.syntax), stream.syntax.uid, pixel.tag != _PIXEL_DATA, pixel.vr == b"OW"
        )
        if pixel.length >= 0:
            number = (image.frames + 1) // 2 if pixel.length <= _LARGEST else 1
            size = image.frame.size
            start = stream.value_offset + (number - 1) * size
            return image, number, _bytes(item, source.begin, [(start, start + size)])
        for _ in source.data_set():
            if stream.total > _LARGEST:
                return None
    number, pieces = _fragments(item, source.begin, stream, image.frames)
    return image, number, _bytes(item, source.begin, pieces)


def _fragments(
    item: Input, begin: int, stream: DataSetStream, frames: int
) -> tuple[int, Sequence[tuple[int, int]]]:
    """The middle one of encapsulated frames, and where its fragments lie in the data set."""
    index = PixelIndex(_PIXEL_DATA, stream.value_offset, -1, tuple(stream.fragments))
    table = archive_frames.encapsulated(
        index, frames, b"", lambda start, end: _bytes(item, begin, [(start, end)])
    )
    number = (len(table.frames) + 1) // 2
    return number, table.frames[number - 1]


def _bytes(item: Input, begin: int, pieces: Sequence[tuple[int, int]]) -> bytes:
    """Parts of a data set that begins at `begin` of its file, one after the other, in ascending order."""
    found = bytearray()
    position = -begin
    with opened(item) as file:
        for start, end in pieces:
            while position < end:
                chunk = file.read(min(1 << 20, (start if position < start else end) - position)) or b""
                if not chunk:
                    raise ValueError("the file has become shorter")
                if position >= start:
                    found += chunk
                position += len(chunk)
    return bytes(found)
