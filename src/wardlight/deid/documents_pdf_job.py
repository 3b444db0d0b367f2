"""Reads the text of one PDF from standard input, in a process with nothing worth taking and little room to waste."""

from __future__ import annotations

import io
import json
import re
import resource
import sys
from typing import Any, Final

_MEMORY: Final = 1 << 30
_CPU_S: Final = 20
_MOST_PAGES: Final = 500
_MOST_OBJECTS: Final = 100_000
_MOST_TEXT: Final = 1 << 20
_INLINE: Final = re.compile(rb"\bBI\s.{0,400}?\sID\s", re.DOTALL)


class _Refused(Exception):
    """The document is not taken; its argument says why."""


def main() -> None:
    """Answers with one JSON object: "pages", the text of each, or "refused", a code. Never with words of an error."""
    from pypdf import PdfReader

    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))
    answer: dict[str, Any]
    try:
        answer = {"pages": _pages(PdfReader(io.BytesIO(sys.stdin.buffer.read())))}
    except _Refused as refused:
        answer = {"refused": refused.args[0]}
    except (Exception, RecursionError):  # noqa: BLE001 - whatever a damaged document does, it is damaged
        answer = {"refused": "document-damaged"}
    sys.stdout.write(json.dumps(answer))


def _pages(reader: Any) -> list[str]:
    if reader.is_encrypted:
        raise _Refused("document-encrypted")
    numbers = {number for table in reader.xref.values() for number in table} | set(reader.xref_objStm)
    if len(numbers) > _MOST_OBJECTS or len(reader.pages) > _MOST_PAGES:
        raise _Refused("document-too-large")
    for number in numbers:
        found = reader.get_object(number)
        if _is_picture(found):
            raise _Refused("document-pictures")
        if _is_note(found):
            raise _Refused("document-annotations")
    pages: list[str] = []
    for page in reader.pages:
        if list(page.images.keys()):
            raise _Refused("document-pictures")
        pages.append(page.extract_text())
        if sum(map(len, pages)) > _MOST_TEXT:
            raise _Refused("document-too-large")
    if not any(page.strip() for page in pages):
        raise _Refused("document-empty")
    return pages


def _is_note(found: Any) -> bool:
    """Whether an object is something written onto a page, or a field of a form that was filled in."""
    if not hasattr(found, "get"):
        return False
    return found.get("/Subtype") in ("/FreeText", "/Stamp", "/Ink") or bool(
        found.get("/FT") and found.get("/V")
    )


def _is_picture(found: Any) -> bool:
    """Whether an object is an image or film, or a form with an image written into it."""
    if not hasattr(found, "get"):
        return False
    if found.get("/Subtype") in ("/Image", "/3D", "/RichMedia", "/Movie", "/Screen", "/Sound"):
        return True
    return found.get("/Subtype") == "/Form" and _INLINE.search(found.get_data()) is not None
