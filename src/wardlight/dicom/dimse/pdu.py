"""The protocol data units of PS3.8 section 9.3: dataclasses, decoding and encoding. Integers are big-endian."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from wardlight.dicom.dimse.errors import AbortReason, PduError
from wardlight.dicom.dimse.items import (
    UserInformation,
    decode_user_information,
    encode_user_information,
    item,
    items,
    uid,
)

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
"""The DICOM application context name, PS3.7 section A.2.1."""

ASSOCIATE_RQ: Final = 1
ASSOCIATE_AC: Final = 2
ASSOCIATE_RJ: Final = 3
DATA_TF: Final = 4
RELEASE_RQ: Final = 5
RELEASE_RP: Final = 6
ABORT: Final = 7

HEADER: Final = struct.Struct(">BxI")
"""PDU type, reserved byte, length of the rest."""
PDV_HEADER: Final = struct.Struct(">IBB")
"""Length of what follows it (context id, control header, fragment), context id, message control header."""

_APPLICATION_CONTEXT_ITEM: Final = 0x10
_CONTEXT_RQ_ITEM: Final = 0x20
_CONTEXT_AC_ITEM: Final = 0x21
_ABSTRACT_SYNTAX_ITEM: Final = 0x30
_TRANSFER_SYNTAX_ITEM: Final = 0x40
_USER_INFORMATION_ITEM: Final = 0x50
_FIXED: Final = 68
"""Bytes of an A-ASSOCIATE-RQ/AC body before its items: version, reserved, two titles, 32 reserved."""


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as proposed, PS3.8 section 9.3.2.2."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The answer to a presentation context, PS3.8 section 9.3.3.2.

    result: 0 acceptance, 1 user rejection, 2 no reason, 3 abstract syntax not supported, 4 transfer syntaxes not
    supported. transfer_syntax is significant only with result 0.
    """

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ, PS3.8 section 9.3.2. `echo`: the 64 bytes that an A-ASSOCIATE-AC repeats unchanged."""

    called_ae: str
    calling_ae: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    echo: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC, PS3.8 section 9.3.3. `echo`: titles and reserved bytes as in the request, 64 bytes."""

    echo: bytes
    contexts: tuple[ContextResult, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ, PS3.8 section 9.3.4: result, source, reason of Table 9-21."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class DataValue:
    """A presentation data value: a fragment of a command set or data set (PS3.8 section 9.3.5.1, annex E.2)."""

    context: int
    command: bool
    last: bool
    fragment: bytes | memoryview


@dataclass(frozen=True, slots=True)
class DataTransfer:
    """P-DATA-TF, PS3.8 section 9.3.5."""

    values: tuple[DataValue, ...]


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ, PS3.8 section 9.3.6."""


@dataclass(frozen=True, slots=True)
class ReleaseReply:
    """A-RELEASE-RP, PS3.8 section 9.3.7."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT, PS3.8 section 9.3.8. source: 0 service user, 2 service provider. reason: of Table 9-26."""

    source: int
    reason: int = 0


Pdu = (
    AssociateRequest
    | AssociateAccept
    | AssociateReject
    | DataTransfer
    | ReleaseRequest
    | ReleaseReply
    | Abort
)


def decode(kind: int, body: bytes) -> Pdu:
    """Decode the body (all after the 6-byte header) of a PDU of type `kind`.

    Raises PduError; the size of `body` was checked by the caller, and bounds the work.
    """
    if kind == ASSOCIATE_RQ:
        return _decode_request(body)
    if kind == ASSOCIATE_AC:
        return _decode_accept(body)
    if kind == DATA_TF:
        return DataTransfer(tuple(_decode_values(body)))
    if kind not in (ASSOCIATE_RJ, RELEASE_RQ, RELEASE_RP, ABORT):
        raise PduError("pdu-type", 0, AbortReason.UNRECOGNIZED_PDU)
    if len(body) != 4:
        raise PduError("pdu-length")
    if kind == ASSOCIATE_RJ:
        return AssociateReject(body[1], body[2], body[3])
    if kind == ABORT:
        return Abort(body[2], body[3])
    return ReleaseRequest() if kind == RELEASE_RQ else ReleaseReply()


def encode(pdu: Pdu) -> bytes:
    """The whole PDU, with its header."""
    match pdu:
        case AssociateRequest():
            contexts = b"".join(_encode_proposed(context) for context in pdu.contexts)
            head = struct.pack(">HH", pdu.protocol_version, 0) + (
                pdu.echo or titles(pdu.called_ae, pdu.calling_ae)
            )
            return _associate(ASSOCIATE_RQ, head, pdu.application_context, contexts, pdu.user)
        case AssociateAccept():
            contexts = b"".join(_encode_result(context) for context in pdu.contexts)
            head = struct.pack(">HH", pdu.protocol_version, 0) + pdu.echo
            return _associate(ASSOCIATE_AC, head, pdu.application_context, contexts, pdu.user)
        case AssociateReject():
            return _pdu(ASSOCIATE_RJ, bytes([0, pdu.result, pdu.source, pdu.reason]))
        case DataTransfer():
            return _pdu(
                DATA_TF,
                b"".join(
                    PDV_HEADER.pack(len(value.fragment) + 2, value.context, value.command | value.last << 1)
                    + value.fragment
                    for value in pdu.values
                ),
            )
        case ReleaseRequest():
            return _pdu(RELEASE_RQ, bytes(4))
        case ReleaseReply():
            return _pdu(RELEASE_RP, bytes(4))
        case Abort():
            return _pdu(ABORT, bytes([0, 0, pdu.source, pdu.reason]))


def titles(called_ae: str, calling_ae: str) -> bytes:
    """The two padded AE titles and the 32 reserved bytes of A-ASSOCIATE-RQ."""
    return (
        called_ae.encode("latin-1")[:16].ljust(16) + calling_ae.encode("latin-1")[:16].ljust(16) + bytes(32)
    )


def _pdu(kind: int, body: bytes) -> bytes:
    return HEADER.pack(kind, len(body)) + body


def _associate(
    kind: int, head: bytes, application_context: str, contexts: bytes, user: UserInformation
) -> bytes:
    name = item(_APPLICATION_CONTEXT_ITEM, application_context.encode("latin-1"))
    return _pdu(kind, head + name + contexts + item(_USER_INFORMATION_ITEM, encode_user_information(user)))


def _encode_proposed(context: ProposedContext) -> bytes:
    syntaxes = b"".join(
        item(_TRANSFER_SYNTAX_ITEM, name.encode("latin-1")) for name in context.transfer_syntaxes
    )
    abstract = item(_ABSTRACT_SYNTAX_ITEM, context.abstract_syntax.encode("latin-1"))
    return item(_CONTEXT_RQ_ITEM, bytes([context.id, 0, 0, 0]) + abstract + syntaxes)


def _encode_result(context: ContextResult) -> bytes:
    syntax = item(_TRANSFER_SYNTAX_ITEM, context.transfer_syntax.encode("latin-1"))
    return item(_CONTEXT_AC_ITEM, bytes([context.id, 0, context.result, 0]) + syntax)


def _fixed(body: bytes) -> int:
    if len(body) < _FIXED:
        raise PduError("pdu-length")
    return int.from_bytes(body[:2], "big")


def _decode_request(body: bytes) -> AssociateRequest:
    version = _fixed(body)
    application_context = ""
    contexts: list[ProposedContext] = []
    user = UserInformation()
    for kind, start, end in items(body, _FIXED, len(body)):
        if kind == _APPLICATION_CONTEXT_ITEM:
            application_context = uid(body[start:end])
        elif kind == _CONTEXT_RQ_ITEM:
            contexts.append(_decode_proposed(body, start, end))
        elif kind == _USER_INFORMATION_ITEM:
            user = decode_user_information(body, start, end)
    return AssociateRequest(
        called_ae=uid(body[4:20]),
        calling_ae=uid(body[20:36]),
        contexts=tuple(contexts),
        user=user,
        application_context=application_context,
        protocol_version=version,
        echo=body[4:_FIXED],
    )


def _decode_proposed(body: bytes, start: int, end: int) -> ProposedContext:
    if end - start < 4:
        raise PduError("item-length", start)
    abstract = ""
    syntaxes: list[str] = []
    for kind, value, stop in items(body, start + 4, end):
        if kind == _ABSTRACT_SYNTAX_ITEM:
            abstract = uid(body[value:stop])
        elif kind == _TRANSFER_SYNTAX_ITEM:
            syntaxes.append(uid(body[value:stop]))
    return ProposedContext(body[start], abstract, tuple(syntaxes))


def _decode_accept(body: bytes) -> AssociateAccept:
    version = _fixed(body)
    application_context = ""
    contexts: list[ContextResult] = []
    user = UserInformation()
    for kind, start, end in items(body, _FIXED, len(body)):
        if kind == _APPLICATION_CONTEXT_ITEM:
            application_context = uid(body[start:end])
        elif kind == _CONTEXT_AC_ITEM:
            if end - start < 4:
                raise PduError("item-length", start)
            syntax = ""
            for inner, value, stop in items(body, start + 4, end):
                if inner == _TRANSFER_SYNTAX_ITEM:
                    syntax = uid(body[value:stop])
            contexts.append(ContextResult(body[start], body[start + 2], syntax))
        elif kind == _USER_INFORMATION_ITEM:
            user = decode_user_information(body, start, end)
    return AssociateAccept(body[4:_FIXED], tuple(contexts), user, application_context, version)


def _decode_values(body: bytes) -> Iterator[DataValue]:
    place = 0
    while place < len(body):
        if len(body) - place < PDV_HEADER.size:
            raise PduError("pdv-length", place)
        length, context, control = PDV_HEADER.unpack_from(body, place)
        end = place + 4 + length
        if length < 2 or end > len(body):
            raise PduError("pdv-length", place)
        yield DataValue(context, bool(control & 1), bool(control & 2), body[place + 6 : end])
        place = end
