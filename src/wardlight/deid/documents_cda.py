"""CDA documents (HL7 CDA R2) built anew from what is allowed: sections, their text, coded entries of published schemes.

The header is one that names nobody. Identifiers, times, participants, attributes of text, elements of other namespaces
and everything not listed here is left out with all it holds. No DTD, no entities, bounded size, depth and number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias
from xml.parsers import expat

from wardlight.deid.descriptors import code_fits
from wardlight.deid.documents_errors import DocumentError

_HL7: Final = "urn:hl7-org:v3 "
_TYPE: Final = "http://www.w3.org/2001/XMLSchema-instance type"
_DEEPEST: Final = 64
_MOST_ELEMENTS: Final = 100_000
#: What is allowed, by where it stands.
_STRUCTURE_TEXT: Final = (
    "component structuredBody section entry organizer observation act procedure entryRelationship"
)
_CODED_TEXT: Final = "code value statusCode targetSiteCode methodCode interpretationCode translation"
_NARRATIVE_TEXT: Final = (
    "title text paragraph list item caption content br table thead tbody tfoot tr th td sub sup"
)
_KINDS_TEXT: Final = (
    "OBS ACT PROC CLUSTER BATTERY DOCSECT EVN INT RQO COMP SPRT SUBJ RSON DRIV CAUS REFR MFST XCRPT"
)
_STATES_TEXT: Final = "completed active aborted new suspended held cancelled"
_STRUCTURE: Final = frozenset(_STRUCTURE_TEXT.split())
_CODED: Final = frozenset(_CODED_TEXT.split())
_NARRATIVE: Final = frozenset(_NARRATIVE_TEXT.split())
_KINDS: Final = frozenset(_KINDS_TEXT.split())
_STATES: Final = frozenset(_STATES_TEXT.split())
_SCHEMES: Final = {
    "2.16.840.1.113883.6.96": b"SCT",
    "2.16.840.1.113883.6.1": b"LN",
    "2.16.840.1.113883.6.256": b"RADLEX",
    "1.2.840.10008.2.16.4": b"DCM",
    "2.16.840.1.113883.6.3": b"ICD10",
    "2.16.840.1.113883.6.90": b"ICD10CM",
}
_NUMBER: Final = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_BEGIN: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    '<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/><id nullFlavor="MSK"/>'
)
_NOBODY: Final = (
    '<effectiveTime nullFlavor="MSK"/><confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>'
    '<recordTarget><patientRole><id nullFlavor="MSK"/></patientRole></recordTarget>'
    '<author><time nullFlavor="MSK"/><assignedAuthor><id nullFlavor="MSK"/></assignedAuthor></author>'
    '<custodian><assignedCustodian><representedCustodianOrganization><id nullFlavor="MSK"/>'
    "</representedCustodianOrganization></assignedCustodian></custodian>"
)
_END: Final = "</ClinicalDocument>\n"

#: ("<", name, attributes), (">", name, ""), ("", text, ""); attributes are written out.
Event: TypeAlias = tuple[str, str, str]
#: Whether a number of a DS value is an identifier of the patient.
IsNumber: TypeAlias = Callable[[bytes], bool]


class _Reader:
    """Collects what is allowed of a document. skipped: depth inside what is left out."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.numbers: list[bytes] = []
        self._open: list[str] = []
        self._skipped = 0
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MOST_ELEMENTS or len(self._open) + self._skipped > _DEEPEST:
            raise DocumentError("document-too-large")
        local = name.removeprefix(_HL7) if name.startswith(_HL7) else ""
        if self._skipped or not self._belongs(local):
            self._skipped += 1
            return
        self._open.append(local)
        if len(self._open) > 1:
            self.events.append(("<", local, self._attributes(local, attributes)))

    def _belongs(self, name: str) -> bool:
        if not self._open:
            if name != "ClinicalDocument":
                raise DocumentError("document-damaged")
            return True
        if name == "nonXMLBody":
            raise DocumentError("document-statement")
        if len(self._open) == 1:
            return name in ("code", "title", "component")
        if self._open[-1] in _NARRATIVE:
            return name in _NARRATIVE
        return name in _STRUCTURE or name in _CODED or name in ("title", "text")

    def _attributes(self, name: str, given: dict[str, str]) -> str:
        if name in _STRUCTURE:
            kinds = ((key, given.get(key)) for key in ("typeCode", "classCode", "moodCode"))
            return "".join(f' {key}="{value}"' for key, value in kinds if value in _KINDS)
        if name in _NARRATIVE:
            return ""
        if name == "statusCode":
            return f' code="{given["code"]}"' if given.get("code") in _STATES else ' nullFlavor="MSK"'
        return self._value(name, given)

    def _value(self, name: str, given: dict[str, str]) -> str:
        kind = given.get(_TYPE, "") if name == "value" else "CD"
        number, unit = given.get("value", ""), given.get("unit", "1")
        start = f' xsi:type="{kind}"' if name == "value" else ""
        if kind in ("CD", "CE", "CV"):
            scheme, code = _SCHEMES.get(given.get("codeSystem", "")), given.get("code", "")
            if scheme is not None and code.isascii() and code_fits(code.encode("ascii"), scheme):
                return f'{start} code="{code}" codeSystem="{given["codeSystem"]}"'
        elif kind in ("PQ", "INT", "REAL") and _NUMBER.fullmatch(number):
            self.numbers.append(number.encode("ascii"))
            if kind != "PQ":
                return f'{start} value="{number}"'
            if re.fullmatch(r"[A-Za-z0-9%/.*\[\]]{1,12}", unit) and code_fits(unit.encode("ascii"), b"UCUM"):
                return f'{start} value="{number}" unit="{unit}"'
        elif kind == "ST":
            return start
        return ' nullFlavor="MSK"'

    def end(self, _name: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        name = self._open.pop()
        if self._open:
            self.events.append((">", name, ""))

    def text(self, text: str) -> None:
        if self._skipped or not text.strip() or not self.events:
            return
        worded = self._open[-1] == "value" and self.events[-1][2] == ' xsi:type="ST"'
        if self._open[-1] in _NARRATIVE or worded:
            self.events.append(("", " ".join(text.split()), ""))

    def refuse(self, *_anything: object) -> None:
        raise DocumentError("document-statement")


def read(data: bytes) -> tuple[list[Event], list[bytes]]:
    """What is allowed of a document, and the numbers in it. Raises DocumentError."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = reader.refuse
    try:
        parser.Parse(data.rstrip(b"\0"), True)
    except (expat.ExpatError, ValueError, LookupError):
        raise DocumentError("document-damaged") from None
    if ("<", "component") not in {event[:2] for event in reader.events}:
        raise DocumentError("document-empty")
    return reader.events, reader.numbers


def write(events: list[Event], line: Callable[[bytes], bytes]) -> tuple[bytes, tuple[bytes, ...]]:
    """A document of the events, and the text in it. line: what of a line of text may stay."""
    parts, texts = [_BEGIN], []
    depth, headed = 0, False
    for kind, what, attributes in events:
        if kind == "<":
            if depth == 0 and what == "component" and not headed:
                parts.append(_NOBODY)
                headed = True
            depth += 1
            parts.append(f"<{what}{attributes}>")
        elif kind == ">":
            depth -= 1
            parts.append(f"</{what}>")
        else:
            texts.append(line(what.encode()))
            parts.append(_escaped(texts[-1].decode("utf-8", "replace")))
    # Words that mark-up cuts are one to who reads them.
    return "".join((*parts, _END)).encode(), (*texts, b"".join(texts))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
