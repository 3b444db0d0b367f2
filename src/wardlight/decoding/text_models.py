"""The networks that find and read text, from the files of the package `rapidocr`. In the decoder process only.

The package itself is never imported: it would bring OpenCV, a downloader and a configuration of its own into the
process. Its model files (PP-OCRv6, Apache-2.0) are opened with onnxruntime while files may still be opened, before the
process is locked in.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_DETECTION: Final = "PP-OCRv6_det_small.onnx"
_RECOGNITION: Final = "PP-OCRv6_rec_small.onnx"


def _session(name: str) -> Any:
    """A network that computes in this thread and keeps no memory between runs. Raises `FileNotFoundError`."""
    package = find_spec("rapidocr")
    if package is None or package.origin is None:
        raise FileNotFoundError("rapidocr")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    path = Path(package.origin).with_name("models") / name
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


onnxruntime.disable_telemetry_events()
_DETECTOR: Final = _session(_DETECTION)
_READER: Final = _session(_RECOGNITION)
#: What the reader's classes stand for: first "no character", last the space.
CHARACTERS: Final[tuple[str, ...]] = (
    "",
    *_READER.get_modelmeta().custom_metadata_map["character"].split("\n"),
    " ",
)


def _normal(pictures: NDArray[np.uint8]) -> Floats:
    """Pictures × rows × columns × RGB as the networks were taught: blue first, planes, from -1 to 1."""
    planes = np.moveaxis(pictures[..., ::-1], -1, 1).astype(np.float32)
    planes /= np.float32(127.5)
    planes -= np.float32(1)
    return np.ascontiguousarray(planes)


def _run(network: Any, pictures: NDArray[np.uint8]) -> Floats:
    try:
        (found,) = network.run(None, {network.get_inputs()[0].name: _normal(pictures)})
    except Exception:  # noqa: BLE001 - whatever it calls it: no frame makes it fail, but lack of memory does
        raise MemoryError from None
    return np.asarray(found)


def text_map(picture: NDArray[np.uint8]) -> Floats:
    """For each pixel of RGB how likely it is within the core of a line of text, 0 to 1. Sides are multiples of 32."""
    return np.asarray(_run(_DETECTOR, picture[np.newaxis])[0, 0])


def read(lines: NDArray[np.uint8]) -> Floats:
    """Lines × steps × classes: what stands at each step of each line. Lines are 48 pixels high."""
    return _run(_READER, lines)
