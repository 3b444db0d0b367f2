"""The verifier's look at a CDA document: the one form in which it is built anew, token by token, by no XML parser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from wardlight.deid.verify_forms import is_code

_NAME: Final = (
    rb"(?:component|structuredBody|section|entry|organizer|observation|act|procedure|entryRelationship|code|value"
    rb"|statusCode|targetSiteCode|methodCode|interpretationCode|translation|title|text|paragraph|list|item|caption"
    rb"|content|br|table|thead|tbody|tfoot|tr|th|td|sub|sup)"
)
_OIDS: Final = {
    b"2.16.840.1.113883.6.96": b"SCT",
    b"2.16.840.1.113883.6.1": b"LN",
    b"2.16.840.1.113883.6.256": b"RADLEX",
    b"1.2.840.10008.2.16.4": b"DCM",
    b"2.16.840.1.113883.6.3": b"ICD10",
    b"2.16.840.1.113883.6.90": b"ICD10CM",
}
_ATTRIBUTE: Final = (
    rb'(?: (?:nullFlavor="MSK"|xsi:type="(?:C[DEV]|PQ|INT|REAL|ST)"|code="[a-z]{3,9}"'
    rb'|code="[0-9A-Za-z.\-]{1,24}" codeSystem="[0-9.]{5,30}"|value="-?\d{1,9}(?:\.\d{1,9})?"'
    rb'|unit="[A-Za-z0-9%/.*\[\]]{1,12}"|(?:type|class|mood)Code="[A-Z]{2,8}"))*'
)
_TOKEN: Final = re.compile(rb"<" + _NAME + _ATTRIBUTE + rb">|</" + _NAME + rb">|([^<>]+)")
_CODE: Final = re.compile(rb' code="([^"]*)"(?: codeSystem="([^"]*)")?')
_KIND: Final = re.compile(rb'(?:type|class|mood)Code="([A-Z]+)"')
_KINDS: Final = frozenset(
    b"OBS ACT PROC CLUSTER BATTERY DOCSECT EVN INT RQO COMP SPRT SUBJ RSON DRIV CAUS REFR MFST XCRPT".split()
)
_STATES: Final = frozenset(b"completed active aborted new suspended held cancelled".split())
_VALUE: Final = re.compile(rb' value="([^"]*)"')
_MASKED: Final = rb'<id nullFlavor="MSK"/>'
_BEGIN: Final = (
    rb'<?xml version="1.0" encoding="UTF-8"?>' + b"\n" + rb'<ClinicalDocument xmlns="urn:hl7-org:v3"'
    rb' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    rb'<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>' + _MASKED
)
_NOBODY: Final = (
    rb'<effectiveTime nullFlavor="MSK"/><confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>'
    rb"<recordTarget><patientRole>" + _MASKED + rb"</patientRole></recordTarget>"
    rb'<author><time nullFlavor="MSK"/><assignedAuthor>' + _MASKED + rb"</assignedAuthor></author>"
    rb"<custodian><assignedCustodian><representedCustodianOrganization>"
    + _MASKED
    + rb"</representedCustodianOrganization></assignedCustodian></custodian>"
)


def cda_problem(
    value: bytes,
    search: Callable[[str], bool],
    allowed: Callable[[bytes], bool],
    numbered: Callable[[bytes], bool],
) -> str:
    """What is wrong with it, "" where nothing is; the functions are those of `document_problem`."""
    plain = value.removesuffix(b"\0")
    if (
        not plain.startswith(_BEGIN)
        or not plain.endswith(b"</ClinicalDocument>\n")
        or plain.count(_NOBODY) != 1
    ):
        return "document"
    body = plain[len(_BEGIN) : -len(b"</ClinicalDocument>\n")].replace(_NOBODY, b"")
    place = 0
    texts: list[str] = []
    while place < len(body):
        match = _TOKEN.match(body, place)
        if match is None:
            return "document"
        place = match.end()
        if match[1] is None:
            if not _says_nothing(match[0], numbered):
                return "document"
            continue
        text = match[1].replace(b"&lt;", b"<").replace(b"&gt;", b">").replace(b"&amp;", b"&")
        if not allowed(text):
            return "words"
        texts.append(text.decode("utf-8", "replace"))
    return "identifier" if search("\n".join(texts)) or search("".join(texts)) else ""


def _says_nothing(tag: bytes, numbered: Callable[[bytes], bool]) -> bool:
    """Whether the codes of a tag are published ones, its kinds known and its numbers nobody's."""
    for code, system in _CODE.findall(tag):
        if not system:
            if code not in _STATES:
                return False
        elif system not in _OIDS or not is_code(code, _OIDS[system]):
            return False
    if any(kind not in _KINDS for kind in _KIND.findall(tag)):
        return False
    return not any(map(numbered, _VALUE.findall(tag)))
