from collections.abc import Callable, Container

from wardlight.deid.harvest import Seen
from wardlight.dicom.limits import Limits

def identifying(
    data: bytes,
    big: bool,
    wanted: Container[int],
    kept: Container[int],
    meaning: Callable[[int], bytes],
    longest: int,
    most: int,
    limits: Limits,
) -> list[Seen] | None: ...
