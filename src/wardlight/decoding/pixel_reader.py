"""Burned-in text for `deid`: frames looked at and cleaned by decoder processes of their own."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from wardlight.decoding.jobs import REASONS
from wardlight.decoding.model import Frame
from wardlight.decoding.pool import DecoderPool
from wardlight.deid.burned_in import Box, Buffer, Found, NotRead
from wardlight.dicom.frame import FrameShape
from wardlight.errors import WardlightError

MODULES: Final = ("wardlight.decoding.text_jobs", "wardlight.decoding.compare_jobs")
#: Seconds for one frame: the largest ones are looked at in some hundred tiles of half a second each.
_CPU_S: Final = 120
_WALL_S: Final = 300.0
_FIELDS: Final = tuple(Frame.__dataclass_fields__)
_MOST: Final = 10_000


class TextReader:
    """`wardlight.deid.burned_in.PixelReader` over a pool whose processes start when the first frame comes.

    size: decoder processes, by default one for each processor up to four. allow_unsandboxed: as of `DecoderPool`.
    institution: whose frames these are; a decoder works for one institution only. Threads share it, and a process that
    forks makes its own. All calls raise NotRead: "detector-unavailable" where the detector or its model is missing or
    its process ended or was too slow, "frame-unreadable" where it is the frame's fault.
    """

    def __init__(
        self, size: int = 0, *, allow_unsandboxed: bool = False, institution: Hashable = None
    ) -> None:
        self._size = size or min(4, os.cpu_count() or 1)
        self._allow_unsandboxed = allow_unsandboxed
        self._institution = institution
        self._lock = threading.Lock()
        self._pool: DecoderPool | None = None
        self._owner = 0
        self._closed = False

    def boxes(self, frame: FrameShape, data: Buffer) -> Found:
        """The boxes of text in one frame, and what was read in each."""
        result, _ = self._run("find-text", {"frame": _json(frame)}, [data])
        boxes, texts = result.get("boxes"), result.get("texts")
        if not isinstance(boxes, list) or not isinstance(texts, list) or len(boxes) != len(texts) <= _MOST:
            raise NotRead("detector-unavailable")
        return tuple((_box(box), str(text)) for box, text in zip(boxes, texts, strict=True))

    def blackened(
        self, frame: FrameShape, data: Buffer, boxes: Sequence[Box], syntax: str
    ) -> tuple[bytes, str, int]:
        """The frame with the boxes blacked out, encoded in `syntax` without loss; its photometric and planar values."""
        arguments = {"frame": _json(frame), "boxes": [list(box) for box in boxes], "target": syntax}
        result, made = self._run("black-out", arguments, [data])
        photometric, planar = result.get("photometric"), result.get("planar")
        if len(made) != 1 or not isinstance(photometric, str) or planar not in (0, 1):
            raise NotRead("detector-unavailable")
        return made[0], photometric, planar

    def same(
        self, before: FrameShape, old: Buffer, after: FrameShape, new: Buffer, boxes: Sequence[Box]
    ) -> bool:
        """Whether both frames decode to the same pixels outside the boxes, and the new one to one colour in them."""
        arguments = {"frame": _json(before), "after": _json(after), "boxes": [list(box) for box in boxes]}
        result, _ = self._run("same-outside", arguments, [old, new])
        return result.get("same") is True

    def close(self) -> None:
        """End the decoders; nothing can be read afterwards."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None and self._owner == os.getpid():
            pool.close()

    def __enter__(self) -> TextReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(
        self, job: str, arguments: Mapping[str, Any], data: Sequence[Buffer]
    ) -> tuple[dict[str, Any], list[bytes]]:
        try:
            return self._started().run(job, arguments, data, institution=self._institution)
        except WardlightError as error:
            broken = error.code != "cannot-decode" or REASONS["killed"] in str(error)
            raise NotRead("detector-unavailable" if broken else "frame-unreadable") from None

    def _started(self) -> DecoderPool:
        with self._lock:
            if self._closed:
                raise NotRead("detector-unavailable")
            if self._pool is None or self._owner != os.getpid():
                self._pool = DecoderPool(
                    self._size,
                    modules=MODULES,
                    allow_unsandboxed=self._allow_unsandboxed,
                    cpu_s=_CPU_S,
                    wall_s=_WALL_S,
                )
                self._owner = os.getpid()
            return self._pool


def _json(frame: FrameShape) -> dict[str, Any]:
    return {name: getattr(frame, name) for name in _FIELDS}


def _box(box: Any) -> Box:
    """A box as the decoder gave it, which is trusted in nothing."""
    if not isinstance(box, list) or len(box) != 4 or not all(type(side) is int for side in box):
        raise NotRead("detector-unavailable")
    left, top, right, bottom = box
    return left, top, right, bottom
