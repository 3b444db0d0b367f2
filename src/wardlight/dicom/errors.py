"""The one typed error of the DICOM package: a code and an offset, never a value of the input."""

from __future__ import annotations


class DicomError(ValueError):
    """The input is not well-formed DICOM, or goes beyond a limit.

    code: stable, kebab-case ("truncated", "depth", "count", "items", "length", "header", "bad-vr", "bad-item",
    "not-dicom", "inflate", "inflate-ratio"). offset: bytes from the start of the buffer that was given to the
    parser, or from the start of the data set for streams. Neither holds anything of the data set's values, so the
    error may be logged as it is.
    """

    def __init__(self, code: str, offset: int) -> None:
        super().__init__(code, offset)
        self.code = code
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.code} at {self.offset}"


class Truncated(DicomError):
    """The input ends inside a structure. A caller whose buffer still grows may try again.

    offset: start of the top-level element that is not complete. need: offset that the buffer must reach before
    another try can get further; 0 where that is not known (a sequence of undefined length). seen: elements of the top
    level that are complete.
    """

    def __init__(self, offset: int, need: int = 0) -> None:
        super().__init__("truncated", offset)
        self.args = (offset, need)
        self.need = need
        self.seen = 0
