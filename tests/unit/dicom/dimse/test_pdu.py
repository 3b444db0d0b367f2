"""The PDU codec: round trips, pynetdicom as the second reader and writer, and every length that does not fit."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import pdu as peer

from wardlight.dicom.dimse import pdu
from wardlight.dicom.dimse.errors import AbortReason, PduError
from wardlight.dicom.dimse.items import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from wardlight.dicom.dimse.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    DataTransfer,
    DataValue,
    ProposedContext,
    ReleaseReply,
    ReleaseRequest,
)

u8 = st.integers(0, 255)
u16 = st.integers(0, 0xFFFF)
uids = st.text("0123456789.", min_size=1, max_size=64)
titles = st.text("ABCDEFGHIJ_ 1", min_size=1, max_size=16).map(str.strip).filter(bool)
small = st.binary(max_size=20)
users = st.builds(
    UserInformation,
    maximum_length=st.none() | st.integers(0, 0xFFFFFFFF),
    implementation_class=uids,
    implementation_version=st.text("VERSION_1", max_size=16),
    asynchronous_window=st.none() | st.tuples(u16, u16),
    roles=st.lists(st.builds(RoleSelection, uids, st.booleans(), st.booleans()), max_size=3).map(tuple),
    extended=st.lists(st.builds(ExtendedNegotiation, uids, small), max_size=3).map(tuple),
    common_extended=st.lists(
        st.builds(CommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3).map(tuple)), max_size=2
    ).map(tuple),
    identity=st.none() | st.builds(UserIdentity, u8, st.booleans(), small, small),
    identity_response=st.none() | small,
)
requests = st.builds(
    AssociateRequest,
    called_ae=titles,
    calling_ae=titles,
    contexts=st.lists(
        st.builds(ProposedContext, u8, uids, st.lists(uids, max_size=4).map(tuple)), max_size=5
    ).map(tuple),
    user=users,
    application_context=uids,
    protocol_version=u16,
)
accepts = st.builds(
    AssociateAccept,
    echo=st.binary(min_size=64, max_size=64),
    contexts=st.lists(st.builds(ContextResult, u8, st.integers(0, 4), uids), max_size=5).map(tuple),
    user=users,
    application_context=uids,
    protocol_version=u16,
)
transfers = st.lists(st.builds(DataValue, u8, st.booleans(), st.booleans(), small), max_size=5).map(
    lambda values: DataTransfer(tuple(values))
)
pdus = st.one_of(
    requests,
    accepts,
    transfers,
    st.builds(AssociateReject, u8, u8, u8),
    st.builds(Abort, u8, u8),
    st.just(ReleaseRequest()),
    st.just(ReleaseReply()),
)


@given(pdus)
def test_round_trip(value: pdu.Pdu) -> None:
    encoded = pdu.encode(value)
    kind, length = pdu.HEADER.unpack_from(encoded)
    assert length == len(encoded) - 6
    assert pdu.decode(kind, encoded[6:]) == value


REQUEST = AssociateRequest(
    "CALLED",
    "CALLING",
    (
        ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),
        ProposedContext(3, "1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")),
    ),
    UserInformation(
        16384,
        "1.2.3.4",
        "VERSION",
        (5, 1),
        (RoleSelection("1.2.840.10008.5.1.4.1.1.2", True, False),),
        (ExtendedNegotiation("1.2.840.10008.5.1.4.1.1.2", bytes([2, 0, 0, 0, 0, 0])),),
        (CommonExtendedNegotiation("1.2.3", "1.2.840.10008.4.2", ("1.2.840.10008.5.1.4.1.1.2",)),),
        UserIdentity(2, True, b"user", b"secret"),
    ),
)


def decoded_by_peer(kind: type[Any], data: bytes) -> Any:
    value = kind()
    value.decode(data)
    return value


def test_pynetdicom_reads_our_request() -> None:
    theirs = decoded_by_peer(peer.A_ASSOCIATE_RQ, pdu.encode(REQUEST))
    assert theirs.called_ae_title.strip() == "CALLED"
    assert theirs.calling_ae_title.strip() == "CALLING"
    assert theirs.application_context_name == pdu.APPLICATION_CONTEXT
    assert [row.context_id for row in theirs.presentation_context] == [1, 3]
    assert theirs.presentation_context[1].transfer_syntax == ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
    user = theirs.user_information
    assert user.maximum_length == 16384
    assert user.async_ops_window.maximum_number_operations_invoked == 5
    assert user.role_selection["1.2.840.10008.5.1.4.1.1.2"].scu_role == 1
    assert user.user_identity.primary_field == b"user"
    assert user.user_identity.secondary_field == b"secret"
    assert user.ext_neg[0].service_class_application_information == bytes([2, 0, 0, 0, 0, 0])
    assert user.common_ext_neg[0].related_general_sop_class_identification == ["1.2.840.10008.5.1.4.1.1.2"]
    # And writes it again byte for byte.
    assert pdu.decode(1, theirs.encode()[6:]) == REQUEST


def test_pynetdicom_reads_our_answers() -> None:
    accept = AssociateAccept(
        pdu.titles("CALLED", "CALLING"),
        (ContextResult(1, 0, "1.2.840.10008.1.2"), ContextResult(3, 3, "1.2.840.10008.1.2")),
        UserInformation(1 << 20, "1.2.3.4", "V", (1, 1)),
    )
    theirs = decoded_by_peer(peer.A_ASSOCIATE_AC, pdu.encode(accept))
    assert [(row.context_id, row.result) for row in theirs.presentation_context] == [(1, 0), (3, 3)]
    assert theirs.user_information.maximum_length == 1 << 20
    rejection = decoded_by_peer(peer.A_ASSOCIATE_RJ, pdu.encode(AssociateReject(2, 3, 2)))
    assert (rejection.result, rejection.source, rejection.reason_diagnostic) == (2, 3, 2)
    abort = decoded_by_peer(peer.A_ABORT_RQ, pdu.encode(Abort(2, AbortReason.INVALID_PARAMETER)))
    assert (abort.source, abort.reason_diagnostic) == (2, 6)
    decoded_by_peer(peer.A_RELEASE_RQ, pdu.encode(ReleaseRequest()))
    decoded_by_peer(peer.A_RELEASE_RP, pdu.encode(ReleaseReply()))


def test_credentials_are_in_no_repr() -> None:
    assert "secret" not in repr(REQUEST)
    assert "user'" not in repr(REQUEST)
    assert "token" not in repr(UserInformation(identity_response=b"token"))


def test_unknown_items_are_ignored() -> None:
    """PS3.8 section 9.3.1: items of types not defined are skipped."""
    data = pdu.encode(REQUEST) + struct.pack(">BBH", 0x7F, 0, 3) + b"abc"
    assert pdu.decode(1, data[6:]) == REQUEST


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        (0, b"", "pdu-type"),
        (8, bytes(4), "pdu-type"),
        (255, bytes(4), "pdu-type"),
        (5, b"", "pdu-length"),
        (6, bytes(5), "pdu-length"),
        (7, bytes(3), "pdu-length"),
        (3, bytes(10), "pdu-length"),
        (1, bytes(67), "pdu-length"),
        (2, b"", "pdu-length"),
        (1, bytes(68) + b"\x10\0\0", "item-header"),
        (1, bytes(68) + b"\x10\0\0\5abc", "item-length"),
        (1, bytes(68) + b"\x20\0\0\3abc", "item-length"),
        (1, bytes(68) + b"\x20\0\0\x08\1\0\0\0\x30\0\0\x09", "item-length"),
        (2, bytes(68) + b"\x21\0\0\2ab", "item-length"),
        (1, bytes(68) + b"\x50\0\0\7\x51\0\0\3abc", "item-length"),
        (1, bytes(68) + b"\x50\0\0\6\x53\0\0\2ab", "item-length"),
        (1, bytes(68) + b"\x50\0\0\5\x54\0\0\1a", "field-header"),
        (1, bytes(68) + b"\x50\0\0\7\x54\0\0\3\0\2a", "field-length"),
        (1, bytes(68) + b"\x50\0\0\7\x54\0\0\3\0\1a", "item-length"),
        (1, bytes(68) + b"\x50\0\0\7\x57\0\0\3\0\1a", "field-header"),
        (1, bytes(68) + b"\x50\0\0\5\x58\0\0\1\1", "item-length"),
        (1, bytes(68) + b"\x50\0\0\x08\x58\0\0\4\1\0\xff\xff", "field-length"),
        (4, b"\0\0\0\1\1\3", "pdv-length"),
        (4, b"\0\0\0\3\1\3", "pdv-length"),
        (4, b"\xff\xff\xff\xff\1\3", "pdv-length"),
        (4, b"\0\0\0\2\1", "pdv-length"),
    ],
)
def test_lengths_that_do_not_fit(kind: int, body: bytes, code: str) -> None:
    with pytest.raises(PduError) as caught:
        pdu.decode(kind, body)
    assert caught.value.code == code
    assert 0 <= caught.value.offset <= len(body)
    assert str(caught.value) == f"{code} at {caught.value.offset}"


@given(st.integers(0, 9), st.binary(max_size=400))
def test_any_body_gives_a_pdu_or_a_typed_error(kind: int, body: bytes) -> None:
    try:
        pdu.decode(kind, body)
    except PduError as error:
        assert 0 <= error.offset <= len(body)


@given(st.binary(max_size=60), st.integers(68, 400), st.integers(0, 255))
def test_a_damaged_request_gives_a_pdu_or_a_typed_error(patch: bytes, at: int, length: int) -> None:
    body = pdu.encode(REQUEST)[6:]
    try:
        pdu.decode(1, (body[:at] + patch + body[at + len(patch) :])[: 68 + length])
    except PduError as error:
        assert error.reason is AbortReason.INVALID_PARAMETER
