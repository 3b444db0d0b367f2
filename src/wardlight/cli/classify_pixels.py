"""Text in the pixels of files that are classified, looked for by the detector of de-identification."""

from __future__ import annotations

from pathlib import Path

from wardlight.cli.deidentify_file import pixel_value
from wardlight.cli.deidentify_input import BadInput, Input
from wardlight.decoding.pixel_reader import TextReader
from wardlight.deid.engine import Refused
from wardlight.deid.pixels_image import PixelError
from wardlight.deid.pixels_object import PixelsOf
from wardlight.dicom.errors import DicomError
from wardlight.dicom.stream import DataSetStream
from wardlight.errors import WardlightError


class Pixels:
    """Callable as `scan.PixelLook`: how many boxes of text an object has, or a code of why that is not known."""

    def __init__(self) -> None:
        self._reader = TextReader()

    def __call__(self, path: Path, stream: DataSetStream) -> int | str:
        pixel = stream.pixel
        if pixel is None:
            return 0
        item = Input(1, path)
        try:
            looked = PixelsOf(stream, pixel, lambda: pixel_value(item, stream)).look(self._reader)
        except PixelError as error:
            return str(error)
        except (DicomError, BadInput, WardlightError) as error:
            return error.code
        except Refused as refused:
            return refused.reasons[0]
        return len(looked.boxes)

    def close(self) -> None:
        """End the processes."""
        self._reader.close()
