from collections.abc import Callable
from typing import Any

from wardlight.dicom.codec import Codec

def run(
    data: bytes,
    p: int,
    end: int,
    codec: Codec,
    table: dict[int, Any],
    state: Any,
    remove: object,
    collect: object,
    collector: Callable[[Any, int, bytes, bytes], None],
    encode: Callable[[Codec, int, bytes, bytes], bytes],
    parts: list[bytes],
    kept: int,
    before: int,
    private: bool,
    most: int,
) -> tuple[int, int, int]: ...
