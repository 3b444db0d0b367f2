"""Structured reports as HTML or plain text: the content tree in reading order (PS3.3 C.17.3), every value as text.

Nothing of a report is markup here: texts are escaped, characters that steer a terminal or turn the direction of
writing are shown as replaced, and the page may load and run nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from wardlight.dicom.limits import LIMITS
from wardlight.dicomweb.rendered_attributes import Attributes

#: For a page whose text others wrote. It comes on top of what every answer has.
SANDBOX: Final = {"Content-Security-Policy": "sandbox; default-src 'none'"}

_CONTENT, _VALUE_TYPE, _NAME_CODE = 0x0040A730, 0x0040A040, 0x0040A043
_MEANING, _CODE_VALUE = 0x00080104, 0x00080100
_REFERENCED, _SOP_CLASS, _SOP_INSTANCE = 0x00081199, 0x00081150, 0x00081155
_TITLE: Final = 0x0008103E
#: Value types with a plain value, and the attribute that holds it.
_VALUES: Final = {
    "TEXT": 0x0040A160, "DATE": 0x0040A121, "TIME": 0x0040A122, "DATETIME": 0x0040A120, "PNAME": 0x0040A123,
    "UIDREF": 0x0040A124,
}  # fmt: skip
_REFERENCES: Final = {"IMAGE": "image", "COMPOSITE": "object", "WAVEFORM": "waveform"}
#: Items of a report that are shown, and characters of one value; what comes beyond is said to be left out.
_ITEMS, _CHARACTERS = 20_000, 65_536
#: Characters of all of it, and bytes that are walked through, those of an item once for each level above it.
_REPORT: Final = 4 << 20
_WALKED: Final = 64 << 20
_STEERING: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")
_LEFT_OUT: Final = "This report has more items, which are not shown here."


@dataclass(frozen=True, slots=True)
class _Line:
    depth: int
    name: str
    value: str


def text(value: str) -> str:
    """A value as it may stand in a line: without characters that steer what shows it."""
    return _STEERING.sub("\ufffd", value[:_CHARACTERS]).replace("\r\n", "\n").replace("\r", "\n")


def plain(report: Attributes) -> bytes:
    """The report as UTF-8 text, an item a line, indented by depth."""

    def lines() -> Iterator[str]:
        for line in _lines(report):
            indent = "  " * line.depth
            value = line.value.replace("\n", f"\n{indent}  ")
            yield f"{indent}{line.name}{': ' if line.name and value else ''}{value}\n"

    return "".join(lines()).encode()


def html(report: Attributes) -> bytes:
    """The report as one HTML page of nested lists, without script, style or address."""
    pieces = ['<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>Report</title></head><body>\n']
    depth = -1
    for line in _lines(report):
        while depth < line.depth:
            pieces.append("<ul>")
            depth += 1
        while depth > line.depth:
            pieces.append("</ul>")
            depth -= 1
        name = f"<b>{escape(line.name)}</b> " if line.name else ""
        value = escape(line.value).replace("\n", "<br>")
        pieces.append(f"<li>{name}<bdi>{value}</bdi></li>\n")
    pieces.append("</ul>" * (depth + 1) + "\n</body></html>\n")
    return "".join(pieces).encode()


def _lines(report: Attributes) -> Iterator[_Line]:
    """The content tree, depth first, without recursion."""
    title = _code(report, _NAME_CODE) or text(report.text(_TITLE)) or "Report"
    yield _Line(0, title, "")
    open_items = [report.items(_CONTENT)]
    count = shown = walked = 0
    while open_items:
        item = next(open_items[-1], None)
        if item is None:
            open_items.pop()
            continue
        count += 1
        walked += item.end - item.start
        if count > _ITEMS or shown > _REPORT or walked > _WALKED:
            yield _Line(0, "", _LEFT_OUT)
            return
        content = item.opened
        line = _Line(len(open_items), _code(content, _NAME_CODE), _value(content))
        shown += len(line.name) + len(line.value)
        yield line
        if _CONTENT in content and len(open_items) < LIMITS.depth:
            open_items.append(content.items(_CONTENT))


def _code(of: Attributes, tag: int) -> str:
    code = of.item(tag)
    return text(code.text(_MEANING) or code.text(_CODE_VALUE)) if code else ""


def _value(content: Attributes) -> str:
    kind = content.text(_VALUE_TYPE)
    if kind in _VALUES:
        value = text(content.text(_VALUES[kind]))
        return " ".join(value.split("=")[0].replace("^", " ").split()) if kind == "PNAME" else value
    if kind == "CODE":
        return _code(content, 0x0040A168)
    if kind == "NUM":
        return _measured(content)
    if kind in _REFERENCES:
        return _reference(content, _REFERENCES[kind])
    readers: dict[str, Callable[[Attributes], str]] = {"SCOORD": _coordinates, "SCOORD3D": _coordinates}
    return readers[kind](content) if kind in readers else ""


def _measured(content: Attributes) -> str:
    value = content.item(0x0040A300)
    if value is None:
        return _code(content, 0x0040A301)  # Numeric Value Qualifier says why there is none.
    unit = value.item(0x004008EA)
    name = text(unit.text(_CODE_VALUE) or unit.text(_MEANING)) if unit else ""
    number = text(value.text(0x0040A30A))
    return number if name in ("", "1") else f"{number} {name}"


def _reference(content: Attributes, what: str) -> str:
    target = content.item(_REFERENCED)
    return f"{what} {text(target.text(_SOP_INSTANCE))}" if target else what


def _coordinates(content: Attributes) -> str:
    return f"region: {text(content.text(0x00700023)).lower()}"
