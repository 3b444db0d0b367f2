"""Image libraries are for the decoder processes: a fault in one of them must not be a fault in a process with keys
(security.md section 8)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from source_kit import nodes

SOURCE = Path(__file__).resolve().parent.parent.parent / "src" / "wardlight"
LIBRARIES = {"numpy", "imagecodecs", "PIL"}
#: Modules of the decoder processes, by how their file names begin; the de-identifier has numpy for native pixels, in
#: processes of its own.
INSIDE = ("decoding/codecs", "decoding/compare_jobs", "decoding/render", "decoding/text", "deid/")

PROCESS = """
import sys
import wardlight.processes, wardlight.web.app, wardlight.web.server, wardlight.ingest.service
import wardlight.archive.service, wardlight.decoding.pool, wardlight.cli
from wardlight.decoding.pool import DecoderPool
from wardlight.decoding.model import Frame
pool = DecoderPool(1, allow_unsandboxed=True)
frame = Frame("1.2.840.10008.1.2.1", 1, 1, 1, "MONOCHROME2", 8, 8, 7, False)
arguments = {"frame": frame.to_json(), "target": "1.2.840.10008.1.2.4.80"}
assert pool.run("transcode", arguments, [b"\\0"])[1][0].startswith(b"\\xff\\xd8")
pool.close()
print(sorted({name.partition(".")[0] for name in sys.modules} & {"numpy", "imagecodecs", "PIL"}))
"""


def imported(path: Path) -> set[str]:
    """Top-level packages that a module imports anywhere."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_modules_of_the_decoders_import_an_image_library(path):
    if not str(path.relative_to(SOURCE)).startswith(INSIDE):
        assert not imported(path) & LIBRARIES


def test_the_web_process_decodes_without_loading_one():
    done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
