"""PDF documents: text read in a process of its own, and a new file written of it.

Of the original no byte is taken over: no fonts, metadata, scripts, forms, links, attachments, drawings. A document
with a picture in it, or with characters that the standard fonts do not have, is refused, for the new one would lack it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Final

from wardlight.deid.documents_errors import DocumentError

#: Seconds of wall time; the process has limits of its own.
_WALL_S: Final = 60
_PROGRAM: Final = (
    "import json,sys;sys.path[:]=json.loads(sys.argv[1]);"
    "from wardlight.deid.documents_pdf_job import main;main()"
)
#: What it may say of a document.
_REFUSALS: Final = frozenset(
    (
        *("document-damaged", "document-encrypted", "document-pictures", "document-annotations"),
        *("document-too-large", "document-empty"),
    )
)
_LARGEST_ANSWER: Final = 8 << 20
_WORD: Final = re.compile(rb"[0-9A-Za-z\x80-\xff]+(?:\.[0-9]+)?")
#: A4 in points, margins, size and spacing of the text, characters in a line.
_WIDTH, _HEIGHT, _MARGIN, _SIZE, _STEP, _WIDE = 595, 842, 56, 9, 12, 88
_LINES: Final = (_HEIGHT - 2 * _MARGIN) // _STEP


def pages_of(data: bytes) -> list[list[str]]:
    """The lines of each page. Raises DocumentError."""
    command = [sys.executable, "-I", "-c", _PROGRAM, json.dumps([path for path in sys.path if path])]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C.UTF-8"},
            timeout=_WALL_S,
            check=False,
        )
        answer = json.loads(done.stdout) if len(done.stdout) <= _LARGEST_ANSWER else {}
    except (subprocess.TimeoutExpired, ValueError):
        raise DocumentError("document-damaged") from None
    pages = answer.get("pages") if isinstance(answer, dict) else None
    if not isinstance(pages, list) or not all(isinstance(page, str) for page in pages):
        code = answer.get("refused") if isinstance(answer, dict) else None
        raise DocumentError(code if code in _REFUSALS else "document-damaged")
    return [[line for line in page.splitlines() if line.strip()] for page in pages]


def words(line: bytes) -> list[bytes]:
    """The words and numbers of a line."""
    return _WORD.findall(line)


def write(pages: list[list[bytes]]) -> bytes:
    """A PDF of lines in UTF-8, in the standard fixed-width font. The same lines give the same bytes."""
    sheets = [sheet for page in pages for sheet in _sheets(page)]
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(sheets)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(sheets), kids),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    ]
    for number, sheet in enumerate(sheets):
        stream = b"BT /F1 %d Tf %d TL %d %d Td\n" % (_SIZE, _STEP, _MARGIN, _HEIGHT - _MARGIN)
        stream += b"".join(b"(%s) '\n" % _escaped(line) for line in sheet) + b"ET\n"
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % (_WIDTH, _HEIGHT, 5 + 2 * number)
        )
        objects.append(b"<< /Length %d >>\nstream\n%sendstream" % (len(stream), stream))
    made = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    made += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(made)


def _sheets(page: list[bytes]) -> list[list[str]]:
    """The lines of a page, broken where they are too long, on as many sheets as they take."""
    lines: list[str] = []
    for line in page:
        text = line.decode("utf-8", "replace")
        lines += [text[at : at + _WIDE] for at in range(0, len(text), _WIDE)]
    return [lines[at : at + _LINES] for at in range(0, len(lines), _LINES)] or [[]]


def _escaped(line: str) -> bytes:
    try:
        encoded = line.replace("\t", " ").encode("cp1252")
    except UnicodeEncodeError:
        raise DocumentError("document-script") from None
    if any(byte < 32 or byte == 127 for byte in encoded):
        raise DocumentError("document-script")
    return re.sub(rb"([\\()])", rb"\\\1", encoded)
