from collections.abc import Callable, Container
from typing import Any

from wardlight.dicom.codec import Buffer
from wardlight.dicom.elements import Element

def scan(
    out: dict[int, Element],
    data: Buffer,
    p: int,
    big: bool,
    wanted: Container[int] | None,
    largest: int,
    count: int,
    most: int,
    make: Callable[..., Any],
    cls: type[Element],
) -> tuple[int, int]: ...
def bits_of(data: Buffer, size: int, big: bool) -> tuple[int, int]: ...
