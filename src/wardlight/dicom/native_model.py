"""The Native DICOM Model (PS3.19 A.1), media type application/dicom+xml, from and to the DICOM JSON Model.

No document type, no entities: the reader refuses both, so that nothing is fetched and nothing grows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from wardlight.dicom.dictionary import keyword_of
from wardlight.dicom.from_json import ModelError
from wardlight.dicom.limits import LIMITS, Limits

NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_ROOT: Final = "NativeDicomModel"
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_INTEGERS: Final = frozenset(("SL", "SS", "SV", "UL", "US", "UV"))
_FLOATS: Final = frozenset(("FL", "FD"))
#: Values that are absent between numbered ones, in a whole data set: each costs memory, but no input.
_GAPS: Final = 10_000
#: What may stand in what; text only in the last ones.
_CHILDREN: Final[dict[str, frozenset[str]]] = {
    "": frozenset((_ROOT,)),
    _ROOT: frozenset(("DicomAttribute",)),
    "Item": frozenset(("DicomAttribute",)),
    "DicomAttribute": frozenset(("Value", "Item", "PersonName", "BulkData", "InlineBinary")),
    "PersonName": frozenset(_GROUPS),
    **dict.fromkeys(_GROUPS, frozenset(_COMPONENTS)),
}
#: What XML cannot hold (XML 1.0 section 2.2).
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOTHING: Final = frozenset[str]()
_TEXT: Final = frozenset(("Value", "InlineBinary", *_COMPONENTS))


def from_native(data: bytes, *, limits: Limits = LIMITS) -> dict[str, Any]:
    """The data set of one XML document in the DICOM JSON Model. Raises `ModelError`."""
    reader = _Reader(limits)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _no_document_type
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        raise ModelError("bad-value") from None
    return reader.model


def _no_document_type(*_: object) -> NoReturn:
    raise ModelError("bad-value")


class _Attribute:
    """A DicomAttribute under construction."""

    __slots__ = ("creator", "inline", "items", "tag", "uri", "values", "vr")

    def __init__(self, tag: int, vr: str, creator: str) -> None:
        self.tag = tag
        self.vr = vr
        self.creator = creator
        self.values: list[Any] = []
        self.items: list[dict[str, Any]] = []
        self.uri: str | None = None
        self.inline: str | None = None

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"vr": self.vr}
        if self.vr == "SQ":
            found["Value"] = self.items
        elif self.uri is not None:
            found["BulkDataURI"] = self.uri
        elif self.inline is not None:
            found["InlineBinary"] = "".join(self.inline.split())
        elif self.values:
            found["Value"] = self.values
        return found


class _Reader:
    """Handlers of the parser. The stacks are as deep as the document is, which is bounded."""

    def __init__(self, limits: Limits) -> None:
        self.model: dict[str, Any] = {}
        self._limits = limits
        self._open: list[str] = [""]
        self._data_sets: list[dict[str, Any]] = []
        #: Private blocks of each open data set: (group, creator) → block.
        self._blocks: list[dict[tuple[int, str], int]] = []
        self._attributes: list[_Attribute] = []
        self._name: dict[str, str] = {}
        self._components: dict[str, str] = {}
        self._text: list[str] = []
        self._gaps = 0

    def start(self, qualified: str, attributes: dict[str, str]) -> None:
        namespace, _, name = qualified.rpartition(" ")
        if namespace not in ("", NAMESPACE) or name not in _CHILDREN.get(self._open[-1], _NOTHING):
            raise self._error("bad-value")
        self._open.append(name)
        self._text.clear()
        if name in (_ROOT, "Item"):
            if len(self._data_sets) > self._limits.depth:
                raise self._error("depth")
            if name == "Item":
                self._counted(attributes, self._attributes[-1].items)
            self._data_sets.append({})
            self._blocks.append({})
        elif name == "DicomAttribute":
            self._attribute(attributes)
        elif name == "PersonName" or name == "Value":
            self._counted(attributes, self._attributes[-1].values)
            self._name = {}
        elif name in _GROUPS:
            self._components = {}
        elif name == "BulkData":
            # A uuid would name something of the host of an application (PS3.19 A.1.6), of which there is none here:
            # an empty URI is no value's, and the data set is refused when it is encoded.
            self._attributes[-1].uri = attributes.get("uri", "")

    def end(self, _qualified: str) -> None:
        name = self._open.pop()
        text = "".join(self._text)
        self._text.clear()
        if name == "Value":
            self._attributes[-1].values.append(self._value(self._attributes[-1].vr, text))
        elif name == "InlineBinary":
            self._attributes[-1].inline = text
        elif name in _COMPONENTS:
            self._components[name] = text
        elif name in _GROUPS:
            parts = (self._components.get(component, "") for component in _COMPONENTS)
            self._name[name] = "^".join(parts).rstrip("^")
        elif name == "PersonName":
            self._attributes[-1].values.append(self._name)
        elif name == "Item":
            self._blocks.pop()
            self._attributes[-1].items.append(self._data_sets.pop())
        elif name == "DicomAttribute":
            self._close_attribute()
        elif name == _ROOT:
            self.model = self._data_sets.pop()

    def text(self, data: str) -> None:
        if self._open[-1] in _TEXT:
            self._text.append(data)
        elif not data.isspace():
            raise self._error("bad-value")

    def _error(self, code: str) -> ModelError:
        return ModelError(code, [attribute.tag for attribute in self._attributes])

    def _counted(self, attributes: dict[str, str], values: list[Any]) -> None:
        """Look at the number of a value, from 1; empty ones are put in for those that were left out."""
        number = attributes.get("number", "")
        if not number.isascii() or not number.isdigit() or len(number) > 9 or int(number) <= len(values):
            raise self._error("bad-value")
        gap = int(number) - 1 - len(values)
        self._gaps += gap
        if self._gaps > _GAPS:
            raise self._error("items")
        values.extend([None] * gap)

    def _attribute(self, attributes: dict[str, str]) -> None:
        tag = attributes.get("tag", "")
        try:
            number = int(tag, 16) if len(tag) == 8 and tag.isalnum() else -1
        except ValueError:
            number = -1
        if number < 0:
            raise self._error("bad-tag")
        creator = attributes.get("privateCreator", "")
        self._attributes.append(_Attribute(number, attributes.get("vr", ""), creator))

    def _close_attribute(self) -> None:
        attribute = self._attributes[-1]
        tag = attribute.tag
        if attribute.creator and tag & 0x10000 and not tag & 0xFF00:
            # The model leaves the block open (PS3.19 A.1.5): it is reserved here (PS3.5 7.8.1).
            tag |= self._block(tag >> 16, attribute.creator) << 8
        name = f"{tag:08X}"
        if name in self._data_sets[-1]:
            raise self._error("bad-tag")
        self._attributes.pop()
        self._data_sets[-1][name] = given = attribute.json()
        values = given.get("Value")
        if tag & 0x10000 and 0x10 <= tag & 0xFFFF <= 0xFF and values and isinstance(values[0], str):
            self._blocks[-1].setdefault((tag >> 16, values[0]), tag & 0xFF)

    def _block(self, group: int, creator: str) -> int:
        blocks, data_set = self._blocks[-1], self._data_sets[-1]
        found = blocks.get((group, creator))
        if found is not None:
            return found
        for block in range(0x10, 0x100):
            name = f"{group:04X}{block:04X}"
            if name not in data_set or data_set[name].get("Value") == [creator]:
                data_set[name] = {"vr": "LO", "Value": [creator]}
                blocks[group, creator] = block
                return block
        raise self._error("count")

    def _value(self, vr: str, text: str) -> Any:
        try:
            if vr in _INTEGERS:
                return int(text) if len(text) <= 24 else text
            if vr in _FLOATS:
                return float(text)
        except ValueError:
            raise self._error("bad-value") from None
        return text or None


def to_native(model: Mapping[str, Any]) -> bytes:
    """The document of a data set that was given in the DICOM JSON Model."""
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n', f'<{_ROOT} xmlns="{NAMESPACE}" xml:space="preserve">']
    _write_data_set(out, model)
    out.append(f"</{_ROOT}>")
    return "".join(out).encode("utf-8")


def _write_data_set(out: list[str], model: Mapping[str, Any]) -> None:
    creators = _creators(model)
    for name, attribute in model.items():
        vr = attribute["vr"]
        keyword, creator = keyword_of(int(name, 16)), creators.get(name[:6])
        named = f" keyword={quoteattr(keyword)}" if keyword else ""
        if creator:
            # The block is not told: who reads it reserves one (PS3.19 Table A.1.5-2).
            name, named = f"{name[:4]}00{name[6:]}", f" privateCreator={quoteattr(_kept(creator))}"
        out.append(f'<DicomAttribute tag="{name}" vr="{vr}"{named}>')
        if "BulkDataURI" in attribute:
            out.append(f"<BulkData uri={quoteattr(attribute['BulkDataURI'])}/>")
        elif "InlineBinary" in attribute:
            out.append(f"<InlineBinary>{attribute['InlineBinary']}</InlineBinary>")
        for number, value in enumerate(attribute.get("Value", ()), 1):
            _write_value(out, vr, number, value)
        out.append("</DicomAttribute>")


def _creators(model: Mapping[str, Any]) -> dict[str, str]:
    """Private creators by group and block as in `000910`; without those that two blocks of a group have."""
    found: dict[str, str] = {}
    blocks: dict[tuple[str, str], int] = {}
    for name, attribute in model.items():
        if int(name[3], 16) & 1 and name[4:6] == "00" and name[6:] >= "10":
            value = attribute.get("Value")
            if value and isinstance(value[0], str):
                found[name[:4] + name[6:]] = value[0]
                blocks[name[:4], value[0]] = blocks.get((name[:4], value[0]), 0) + 1
    return {block: creator for block, creator in found.items() if blocks[block[:4], creator] == 1}


def _write_value(out: list[str], vr: str, number: int, value: Any) -> None:
    if vr == "SQ":
        out.append(f'<Item number="{number}">')
        _write_data_set(out, value)
        out.append("</Item>")
    elif value is None:
        if vr in _FLOATS:
            out.append(f'<Value number="{number}">NaN</Value>')
    elif vr == "PN":
        out.append(f'<PersonName number="{number}">')
        for group in _GROUPS:
            if group in value:
                parts = zip(_COMPONENTS, value[group].split("^", 4), strict=False)
                inner = "".join(f"<{name}>{_escaped(part)}</{name}>" for name, part in parts if part)
                out.append(f"<{group}>{inner}</{group}>")
        out.append("</PersonName>")
    else:
        text = repr(value) if isinstance(value, float) and math.isfinite(value) else str(value)
        out.append(f'<Value number="{number}">{_escaped(text)}</Value>')


def _escaped(text: str) -> str:
    return escape(_kept(text), {"\r": "&#13;"})


def _kept(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
