"""DIMSE command sets of C-ECHO, C-STORE and C-CANCEL (PS3.7 sections 9.3 and E.1): decoding, requests, responses.

A command set is always implicit VR little endian, group 0000, whatever the transfer syntax of the context.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from wardlight.dicom.dimse.errors import CommandError

C_STORE_RQ: Final = 0x0001
C_ECHO_RQ: Final = 0x0030
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000
"""Bit of the command field that makes it a response."""
NO_DATA_SET: Final = 0x0101
"""Value of Command Data Set Type when no data set follows (PS3.7 section E.1)."""

SUCCESS: Final = 0x0000
INVALID_INSTANCE: Final = 0x0117
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
UNRECOGNIZED_OPERATION: Final = 0x0211
CANNOT_UNDERSTAND: Final = 0xC000

_GROUP_LENGTH: Final = 0x0000
_AFFECTED_SOP_CLASS: Final = 0x0002
_COMMAND_FIELD: Final = 0x0100
_MESSAGE_ID: Final = 0x0110
_RESPONDED_TO: Final = 0x0120
_PRIORITY: Final = 0x0700
_DATA_SET_TYPE: Final = 0x0800
_STATUS: Final = 0x0900
_ERROR_COMMENT: Final = 0x0902
_AFFECTED_SOP_INSTANCE: Final = 0x1000
_MOVE_ORIGINATOR: Final = 0x1030
_MOVE_MESSAGE_ID: Final = 0x1031

_HEADER: Final = struct.Struct("<HHI")
_U16: Final = struct.Struct("<H")
_UID_CHARACTERS: Final = frozenset("0123456789.")


@dataclass(frozen=True, slots=True)
class Command:
    """The elements of a command set that the node uses. None or "" where an element is missing or empty."""

    field: int
    message_id: int | None = None
    responded_to: int | None = None
    sop_class: str = ""
    sop_instance: str = ""
    priority: int | None = None
    has_data_set: bool = False
    status: int | None = None
    error_comment: str = ""
    move_originator: str = ""
    move_message_id: int | None = None


def decode(data: bytes | bytearray) -> Command:
    """Read a command set. Raises CommandError when it is malformed or has no Command Field.

    The group length is not trusted; elements outside group 0000 and unknown ones are skipped.
    """
    values: dict[int, bytes] = {}
    place = 0
    while place < len(data):
        if len(data) - place < 8:
            raise CommandError("truncated", place)
        group, element, length = _HEADER.unpack_from(data, place)
        end = place + 8 + length
        if end > len(data):
            raise CommandError("length", place)
        if group == 0:
            values[element] = bytes(data[place + 8 : end])
        place = end
    command_field = _number(values, _COMMAND_FIELD)
    if command_field is None:
        raise CommandError("field")
    # A missing Command Data Set Type is read as "a data set follows", so that no data set is taken for a command.
    return Command(
        field=command_field,
        message_id=_number(values, _MESSAGE_ID),
        responded_to=_number(values, _RESPONDED_TO),
        sop_class=_text(values, _AFFECTED_SOP_CLASS),
        sop_instance=_text(values, _AFFECTED_SOP_INSTANCE),
        priority=_number(values, _PRIORITY),
        has_data_set=_number(values, _DATA_SET_TYPE) != NO_DATA_SET,
        status=_number(values, _STATUS),
        error_comment=_text(values, _ERROR_COMMENT),
        move_originator=_text(values, _MOVE_ORIGINATOR),
        move_message_id=_number(values, _MOVE_MESSAGE_ID),
    )


def encode(command: Command) -> bytes:
    """The command set with its group length, elements in ascending order."""
    elements: list[tuple[int, bytes]] = []
    if command.sop_class:
        elements.append((_AFFECTED_SOP_CLASS, _padded(command.sop_class, b"\0")))
    elements.append((_COMMAND_FIELD, _U16.pack(command.field)))
    for tag, number in (
        (_MESSAGE_ID, command.message_id),
        (_RESPONDED_TO, command.responded_to),
        (_PRIORITY, command.priority),
    ):
        if number is not None:
            elements.append((tag, _U16.pack(number)))
    elements.append((_DATA_SET_TYPE, _U16.pack(0x0001 if command.has_data_set else NO_DATA_SET)))
    if command.status is not None:
        elements.append((_STATUS, _U16.pack(command.status)))
    if command.error_comment:
        elements.append((_ERROR_COMMENT, _padded(command.error_comment, b" ")))
    if command.sop_instance:
        elements.append((_AFFECTED_SOP_INSTANCE, _padded(command.sop_instance, b"\0")))
    if command.move_originator:
        elements.append((_MOVE_ORIGINATOR, _padded(command.move_originator, b" ")))
    if command.move_message_id is not None:
        elements.append((_MOVE_MESSAGE_ID, _U16.pack(command.move_message_id)))
    body = b"".join(_HEADER.pack(0, tag, len(value)) + value for tag, value in elements)
    return _HEADER.pack(0, _GROUP_LENGTH, 4) + struct.pack("<I", len(body)) + body


def response(request: Command, status: int, comment: str = "") -> Command:
    """The response to `request` (PS3.7 sections 9.3.1.2, 9.3.5.2; for other services only what Annex C asks for).

    comment: Error Comment (0000,0902), cut to the 64 characters of LO; nothing but printable ASCII without the
    backslash is passed, and no patient data belongs in it.
    """
    clean = "".join(letter if " " <= letter <= "~" and letter != "\\" else "?" for letter in comment[:64])
    return Command(
        field=request.field | RESPONSE,
        responded_to=request.message_id or 0,
        sop_class=request.sop_class if is_uid(request.sop_class) else "",
        sop_instance=request.sop_instance if is_uid(request.sop_instance) else "",
        status=status,
        error_comment=clean,
    )


def is_uid(text: str) -> bool:
    """Digits and dots, 1 to 64 of them. Components with leading zeros occur in the field and are let pass."""
    return 0 < len(text) <= 64 and _UID_CHARACTERS.issuperset(text)


def _number(values: dict[int, bytes], tag: int) -> int | None:
    value = values.get(tag)
    return _U16.unpack(value)[0] if value is not None and len(value) == 2 else None


def _text(values: dict[int, bytes], tag: int) -> str:
    return values.get(tag, b"").decode("latin-1").strip("\0 ")


def _padded(text: str, padding: bytes) -> bytes:
    value = text.encode("latin-1")
    return value + padding if len(value) & 1 else value
