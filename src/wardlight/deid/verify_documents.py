"""The verifier's look at an encapsulated document: of a kind that was cleaned, in the one form that cleaning gives it.

Meshes are read line by line or field by field; a PDF is read by another library than the one that took its text.
"""

from __future__ import annotations

import math
import re
import struct
import threading
from collections.abc import Callable
from typing import Final

from wardlight.deid.verify_cda import cda_problem
from wardlight.deid.verify_reader import Item

DOCUMENT: Final = 0x00420011
_MIME: Final = 0x00420012
_LENGTH: Final = 0x00420015
_NUMBER: Final = rb"-?\d+(?:\.\d+)?(?:e[-+]\d{1,3})?"
_INDEX: Final = rb"-?\d{1,9}(?:/(?:-?\d{1,9})?(?:/-?\d{1,9})?)?"
_NAME: Final = rb"(?:n[A-Z2-7]{16}|default|off|\(null\))"
_OBJ_LINE: Final = (
    rb"v(?: " + _NUMBER + rb"){3,7}|v[tp](?: " + _NUMBER + rb"){1,3}|vn(?: " + _NUMBER + rb"){3}"
    rb"|[flp](?: "
    + _INDEX
    + rb")+|s (?:off|\d{1,3})|g(?: "
    + _NAME
    + rb")*|(?:o|usemtl)(?: "
    + _NAME
    + rb")?"
)
_MTL_LINE: Final = (
    rb"newmtl " + _NAME + rb"|(?:K[adse]|Tf|N[si]|d(?: -halo)?|Tr|sharpness|illum|P[rmsc]|Pcr|aniso|anisor)"
    rb"(?: " + _NUMBER + rb"){1,3}"
)
_OBJ: Final = re.compile(rb"(?:(?:" + _OBJ_LINE + rb")\n)+\0?")
_MTL: Final = re.compile(rb"(?:(?:" + _MTL_LINE + rb")\n)+\0?")
_XYZ: Final = rb"(?: " + _NUMBER + rb"){3}\n"
_ASCII_STL: Final = re.compile(
    rb"solid\n(?:facet normal"
    + _XYZ
    + rb"outer loop\n(?:vertex"
    + _XYZ
    + rb"){3}endloop\nendfacet\n)*endsolid\n\0?"
)
#: Lines of coordinates with a long whole number.
_WHOLE: Final = re.compile(rb"^v[^\n]* -?\d{6,}(?=[ \n])[^\n]*", re.MULTILINE)
#: What a PDF of ours never says.
_FOREIGN: Final = re.compile(
    rb"/(?:JS|JavaScript|EmbeddedFiles?|Annots|AcroForm|Metadata|Info|Filter|ObjStm|XObject|AA|OpenAction|URI|Names|ID)\b"
)
_PDF: Final = re.compile(
    rb"%PDF-1\.4\n(?:\d+ 0 obj\n[^%]*?\nendobj\n)+xref\n[0-9 fn\n]+trailer\n<< /Size \d+ /Root 1 0 R >>\n"
    rb"startxref\n\d+\n%%EOF\n\0?",
)
_TEXT_OBJECT: Final = 1
#: PDFium is not for several threads.
_PDFIUM: Final = threading.Lock()

#: Whether a text holds something of the patient's; whether bytes may stay at the level, or hold something.
Search = Callable[[str], bool]
Allowed = Callable[[bytes], bool]


def document_problem(
    after: bytes, new: list[Item], item: Item, search: Search, allowed: Allowed, numbered: Allowed
) -> str:
    """What is wrong with the document of an output, "" where nothing is.

    item: the element (0042,0011) at the top level. numbered: whether a DS value holds one of the patient's numbers.
    """
    top = {one[1]: after[one[3] : one[4]] for one in new if not one[0] and one[1] in (_MIME, _LENGTH)}
    value = after[item[3] : item[4]]
    mime = top.get(_MIME, b"").strip(b" \0")
    stated = top.get(_LENGTH)
    if stated is not None and not any(
        int.from_bytes(stated, order) in (len(value), len(value) - 1) for order in ("little", "big")
    ):
        return "document-length"
    if mime == b"model/stl":
        return "" if _is_stl(value) else "document"
    if mime in (b"model/obj", b"model/mtl"):
        form = _OBJ if mime == b"model/obj" else _MTL
        if not form.fullmatch(value):
            return "document"
        lines = (b"\\".join(line.split()[1:]) for line in _WHOLE.findall(value))
        return "identifier" if any(map(numbered, lines)) else ""
    if mime == b"application/pdf":
        return _pdf_problem(value, search, allowed)
    if mime == b"text/XML":
        return cda_problem(value, search, allowed, numbered)
    return "document"


def _is_stl(value: bytes) -> bool:
    """Whether all that is not a coordinate is zero, or the text is an STL's without a name."""
    if value.startswith(b"solid"):
        return _ASCII_STL.fullmatch(value) is not None
    count = int.from_bytes(value[80:84], "little")
    body = value[84 : 84 + 50 * count]
    if value[:80].strip(b"\0") or len(body) != 50 * count or value[84 + 50 * count :] not in (b"", b"\0"):
        return False
    return all(
        not facet[12] and math.isfinite(math.fsum(map(abs, facet[:12])))
        for facet in struct.iter_unpack("<12fH", body)
    )


def _pdf_problem(value: bytes, search: Search, allowed: Allowed) -> str:
    import pypdfium2
    from pypdfium2 import raw

    if _FOREIGN.search(value) or not _PDF.fullmatch(value):
        return "document"
    with _PDFIUM:
        try:
            document = pypdfium2.PdfDocument(value)
            if document.get_metadata_dict(skip_empty=True) or document.count_attachments():
                return "document"
            for page in document:
                if any(one.type != raw.FPDF_PAGEOBJ_TEXT for one in page.get_objects()):
                    return "document"
                text = page.get_textpage().get_text_range()
                if search(text) or search(text.replace("\r\n", "")):
                    return "identifier"
                if not all(allowed(line.encode("utf-8", "replace")) for line in text.splitlines()):
                    return "words"
        except pypdfium2.PdfiumError:
            return "document"
    return ""
