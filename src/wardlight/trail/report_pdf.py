"""A report as PDF/UA-1: tagged for screen readers, names in any script.

Typst sets it (Apache-2.0): ReportLab's free part neither tags nor shapes, fpdf2 is LGPL and tags nothing, WeasyPrint
needs Pango on the server, and a browser no server has. It works in a process of its own, as it takes some
200 KB of memory a row.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from wardlight.errors import WardlightError
from wardlight.trail.report_document import Document, Table

MEDIA: Final = "application/pdf"

_FOLDER: Final = Path(__file__).parent
#: Reports that one process sets at the same time, and how long one may take or wait for its turn.
_PLACES: Final = threading.BoundedSemaphore(2)
_WAIT_S: Final = 30.0
_LONGEST_S: Final = 60
_MEMORY: Final = 4 << 30  # address space, of which it uses a part
#: Rows of tables in one file: a hundred pages, some 400 MB of memory while they are set.
MAX_ROWS: Final = 2_000


def render(document: Document) -> bytes:
    """The file. Raises `query-too-broad` above `MAX_ROWS`, `unavailable` where it takes too long or must wait so."""
    if sum(len(block.rows) for block in document.blocks if isinstance(block, Table)) > MAX_ROWS:
        raise WardlightError(
            "query-too-broad", f"more than {MAX_ROWS:,} lines for a PDF; name a shorter time, or ask for HTML"
        )
    if not _PLACES.acquire(timeout=_WAIT_S):
        raise WardlightError("unavailable", "other reports are being made", reason="reports")
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "wardlight.trail.report_pdf"],
            input=json.dumps(document.plain(), ensure_ascii=False).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": str(_FOLDER.parent.parent)},
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WardlightError("unavailable", "the report took too long", reason="reports") from None
    finally:
        _PLACES.release()
    if done.returncode or not done.stdout.startswith(b"%PDF-"):
        raise WardlightError("internal", "the report could not be set", reason="reports")
    return done.stdout


def _compile(report: str) -> bytes:
    import typst

    template = _FOLDER / "report.typ"
    fonts = typst.Fonts(font_paths=[_FOLDER / "fonts"])
    for standard in ("ua-1", None):
        try:
            pdf = typst.compile(
                template, font_paths=fonts, sys_inputs={"report": report}, pdf_standards=standard or []
            )
        except typst.TypstError:
            # A character that no font of the machine has is a hollow box in the file; the standard forbids those.
            if standard is None:
                raise
        else:
            assert pdf is not None
            return pdf
    raise AssertionError("unreachable")


if __name__ == "__main__":
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (_LONGEST_S, _LONGEST_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    sys.stdout.buffer.write(_compile(sys.stdin.read()))
