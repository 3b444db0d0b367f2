"""User information items of association negotiation: PS3.8 section D.1 and PS3.7 annex D.3.3, decoded and encoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from wardlight.dicom.dimse.errors import PduError

MAXIMUM_LENGTH: Final = 0x51
IMPLEMENTATION_CLASS: Final = 0x52
ASYNCHRONOUS_WINDOW: Final = 0x53
ROLE_SELECTION: Final = 0x54
IMPLEMENTATION_VERSION: Final = 0x55
EXTENDED_NEGOTIATION: Final = 0x56
COMMON_EXTENDED_NEGOTIATION: Final = 0x57
USER_IDENTITY_RQ: Final = 0x58
USER_IDENTITY_AC: Final = 0x59

_U16: Final = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """SCP/SCU role selection, PS3.7 section D.3.3.4: roles the requestor proposes, or the acceptor grants."""

    sop_class: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """SOP class extended negotiation, PS3.7 section D.3.3.5; `information` is defined by the service class."""

    sop_class: str
    information: bytes


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """SOP class common extended negotiation, PS3.7 section D.3.3.6. Requests only."""

    sop_class: str
    service_class: str
    related: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User identity, PS3.7 section D.3.3.7. The fields are credentials: they appear in no repr."""

    kind: int
    response_requested: bool
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The user information item, PS3.8 section 9.3.2.3.

    maximum_length: largest P-DATA-TF variable field the sender of this item takes, in bytes; 0 is no limit, None:
    not given. asynchronous_window: operations invoked, performed; 0 is no limit; None: not negotiated, which is (1, 1).
    """

    maximum_length: int | None = None
    implementation_class: str = ""
    implementation_version: str = ""
    asynchronous_window: tuple[int, int] | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    identity: UserIdentity | None = None
    identity_response: bytes | None = field(default=None, repr=False)


def item(kind: int, value: bytes, reserved: int = 0) -> bytes:
    """One item: type, reserved byte, length, value."""
    return struct.pack(">BBH", kind, reserved, len(value)) + value


def items(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Items in `data[start:end]` as (type, start of value, end of value). Raises PduError if one does not fit."""
    while start < end:
        if end - start < 4:
            raise PduError("item-header", start)
        value = start + 4
        stop = value + _U16.unpack_from(data, start + 2)[0]
        if stop > end:
            raise PduError("item-length", start)
        yield data[start], value, stop
        start = stop


def uid(data: bytes) -> str:
    """A UID, AE title or version name as text, without its padding. Never raises: odd bytes match nothing."""
    return data.decode("latin-1").strip("\0 ")


def _counted(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    """A value with a 2-byte length before it, and the offset after it."""
    if end - start < 2:
        raise PduError("field-header", start)
    stop = start + 2 + _U16.unpack_from(data, start)[0]
    if stop > end:
        raise PduError("field-length", start)
    return data[start + 2 : stop], stop


def _count(value: bytes) -> bytes:
    return _U16.pack(len(value)) + value


def decode_user_information(data: bytes, start: int, end: int) -> UserInformation:
    """Decode the sub-items in `data[start:end]`. Unknown ones are ignored, as PS3.8 section 9.3.1 wants.

    Raises PduError where a length does not fit.
    """
    maximum: int | None = None
    window: tuple[int, int] | None = None
    implementation = version = ""
    roles: list[RoleSelection] = []
    extended: list[ExtendedNegotiation] = []
    common: list[CommonExtendedNegotiation] = []
    identity: UserIdentity | None = None
    response: bytes | None = None
    for kind, value, stop in items(data, start, end):
        if kind == MAXIMUM_LENGTH:
            maximum = int.from_bytes(_exactly(data, value, stop, 4), "big")
        elif kind == IMPLEMENTATION_CLASS:
            implementation = uid(data[value:stop])
        elif kind == ASYNCHRONOUS_WINDOW:
            _exactly(data, value, stop, 4)
            window = (_U16.unpack_from(data, value)[0], _U16.unpack_from(data, value + 2)[0])
        elif kind == ROLE_SELECTION:
            name, place = _counted(data, value, stop)
            pair = _exactly(data, place, stop, 2)
            roles.append(RoleSelection(uid(name), pair[0] == 1, pair[1] == 1))
        elif kind == IMPLEMENTATION_VERSION:
            version = uid(data[value:stop])
        elif kind == EXTENDED_NEGOTIATION:
            name, place = _counted(data, value, stop)
            extended.append(ExtendedNegotiation(uid(name), data[place:stop]))
        elif kind == COMMON_EXTENDED_NEGOTIATION:
            common.append(_decode_common(data, value, stop))
        elif kind == USER_IDENTITY_RQ:
            identity = _decode_identity(data, value, stop)
        elif kind == USER_IDENTITY_AC:
            response, _ = _counted(data, value, stop)
    return UserInformation(
        maximum,
        implementation,
        version,
        window,
        tuple(roles),
        tuple(extended),
        tuple(common),
        identity,
        response,
    )


def _exactly(data: bytes, start: int, end: int, length: int) -> bytes:
    if end - start != length:
        raise PduError("item-length", start)
    return data[start:end]


def _decode_common(data: bytes, start: int, end: int) -> CommonExtendedNegotiation:
    sop_class, place = _counted(data, start, end)
    service_class, place = _counted(data, place, end)
    # Later versions of the sub-item may carry more after the list: only what its length covers is read.
    listing, _ = _counted(data, place, end)
    related = []
    place = 0
    while place < len(listing):
        name, place = _counted(listing, place, len(listing))
        related.append(uid(name))
    return CommonExtendedNegotiation(uid(sop_class), uid(service_class), tuple(related))


def _decode_identity(data: bytes, start: int, end: int) -> UserIdentity:
    if end - start < 2:
        raise PduError("item-length", start)
    primary, place = _counted(data, start + 2, end)
    secondary, _ = _counted(data, place, end)
    return UserIdentity(data[start], data[start + 1] == 1, primary, secondary)


def encode_user_information(user: UserInformation) -> bytes:
    """The sub-items, in the order of their types, without the header of the user information item."""
    parts: list[bytes] = []
    if user.maximum_length is not None:
        parts.append(item(MAXIMUM_LENGTH, struct.pack(">I", user.maximum_length)))
    parts.append(item(IMPLEMENTATION_CLASS, user.implementation_class.encode("latin-1")))
    if user.asynchronous_window is not None:
        parts.append(item(ASYNCHRONOUS_WINDOW, struct.pack(">HH", *user.asynchronous_window)))
    parts.extend(
        item(ROLE_SELECTION, _count(role.sop_class.encode("latin-1")) + bytes([role.scu, role.scp]))
        for role in user.roles
    )
    if user.implementation_version:
        parts.append(item(IMPLEMENTATION_VERSION, user.implementation_version.encode("latin-1")))
    parts.extend(
        item(EXTENDED_NEGOTIATION, _count(row.sop_class.encode("latin-1")) + row.information)
        for row in user.extended
    )
    for row in user.common_extended:
        listing = b"".join(_count(name.encode("latin-1")) for name in row.related)
        names = _count(row.sop_class.encode("latin-1")) + _count(row.service_class.encode("latin-1"))
        parts.append(item(COMMON_EXTENDED_NEGOTIATION, names + _count(listing)))
    if user.identity is not None:
        head = bytes([user.identity.kind, user.identity.response_requested])
        parts.append(
            item(USER_IDENTITY_RQ, head + _count(user.identity.primary) + _count(user.identity.secondary))
        )
    if user.identity_response is not None:
        parts.append(item(USER_IDENTITY_AC, _count(user.identity_response)))
    return b"".join(parts)
