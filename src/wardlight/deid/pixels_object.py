"""One object's pixel data: how it is looked at for text, and what it goes through on its way out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from wardlight.deid import burned_in, burned_in_frames, pixels
from wardlight.deid.burned_in import Buffer, Looked, PixelReader
from wardlight.deid.burned_in_frames import Anew
from wardlight.deid.burned_in_regions import known_boxes
from wardlight.deid.pixels_image import Image, image_of
from wardlight.dicom.frame import FrameShape
from wardlight.dicom.stream import DataSetStream, PixelElement

if TYPE_CHECKING:
    from wardlight.deid.burned_in_native import Blackened


Cleaning: TypeAlias = "pixels.Cleaning | Blackened | Anew"
"""All have `clean(chunks)`, which gives as many bytes as it takes but for frames that are encoded anew."""


class PixelsOf:
    """The pixel data of one object.

    stream: has its header. value: begins to read the pixel value, inflated.
    """

    def __init__(
        self, stream: DataSetStream, pixel: PixelElement, value: Callable[[], Iterable[Buffer]]
    ) -> None:
        self._header = stream.header or b""
        self._stream = stream
        self._pixel = pixel
        self._value = value
        #: Of encapsulated pixel data, once it was read.
        self._blanks: pixels.Blanks | None = None

    def _checked(self) -> pixels.Blanks:
        if self._blanks is None:
            stream = self._stream
            self._blanks = pixels.check(
                self._value(), self._header, stream.elements, self._pixel, stream.syntax
            )
        return self._blanks

    def _image(self) -> Image:
        stream = self._stream
        return image_of(self._header, stream.elements, self._pixel, stream.syntax.big_endian)

    def _shape(self) -> FrameShape:
        stream = self._stream
        return burned_in.shape_of(self._header, stream.elements, self._pixel, stream.syntax, self._image())

    def look(self, reader: PixelReader) -> Looked:
        """Look at every frame. Raises PixelError where that cannot be done."""
        shape = self._shape()
        known = known_boxes(self._header, self._stream.elements, shape)
        if not self._stream.syntax.encapsulated:
            from wardlight.deid import (
                burned_in_native,
            )  # Its numpy takes a while to load, for what few objects need.

            layout = burned_in_native.layout_of(shape, self._image().frames)
            frames = burned_in_native.frames_of(self._value(), layout)
            return burned_in.look(reader, burned_in_native.frame_shape(layout), frames, known)
        starts = self._checked().starts
        looked = burned_in.look(reader, shape, burned_in_frames.frames_of(self._value(), starts), known)
        if not looked.boxes:
            return looked
        first = next(burned_in_frames.frames_of(self._value(), starts))
        return burned_in_frames.anew(reader, shape, looked, first)

    def cleaning(self, looked: Looked | None, reader: PixelReader | None) -> Cleaning:
        """What the value goes through. Raises PixelError."""
        stream = self._stream
        if stream.syntax.encapsulated:
            blanks = self._checked()
            if looked is None or not looked.anew or reader is None:
                return blanks
            return Anew(reader, self._shape(), self._image(), looked, blanks.starts)
        # Native pixel data is large and its rule simple, so it is cleaned and verified while it passes.
        native = pixels.native_of(self._header, stream.elements, self._pixel, stream.syntax)
        if looked is None or not looked.boxes:
            return native
        from wardlight.deid.burned_in_native import Blackened, layout_of

        return Blackened(native, layout_of(self._shape(), self._image().frames), looked.boxes)
