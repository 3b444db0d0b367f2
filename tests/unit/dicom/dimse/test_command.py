"""Command sets: against pydicom's encoder, and against what is malformed."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pynetdicom.dsutils import decode as peer_decode
from pynetdicom.dsutils import encode as peer_encode

from wardlight.dicom.dimse import command as dimse
from wardlight.dicom.dimse.command import Command
from wardlight.dicom.dimse.errors import CommandError

CT = "1.2.840.10008.5.1.4.1.1.2"

u16 = st.integers(0, 0xFFFF)
uids = st.text("0123456789.", min_size=1, max_size=64)
commands = st.builds(
    Command,
    field=u16,
    message_id=st.none() | u16,
    responded_to=st.none() | u16,
    sop_class=uids | st.just(""),
    sop_instance=uids | st.just(""),
    priority=st.none() | st.sampled_from([0, 1, 2]),
    has_data_set=st.booleans(),
    status=st.none() | u16,
    error_comment=st.text("abc XYZ-:", max_size=64).map(str.strip),
    move_originator=st.text("ABC_1", max_size=16),
    move_message_id=st.none() | u16,
)


@given(commands)
def test_round_trip(command: Command) -> None:
    encoded = dimse.encode(command)
    assert dimse.decode(encoded) == command
    assert struct.unpack_from("<HHII", encoded) == (0, 0, 4, len(encoded) - 12)
    # An independent reader sees the same, in ascending order.
    ds = peer_decode(BytesIO(encoded), True, True)
    tags = [int(element.tag) for element in ds]
    assert tags == sorted(tags)


def test_reads_what_pynetdicom_writes() -> None:
    ds = Dataset()
    ds.CommandGroupLength = 0
    ds.AffectedSOPClassUID = CT
    ds.CommandField = 1
    ds.MessageID = 7
    ds.Priority = 2
    ds.CommandDataSetType = 1
    ds.AffectedSOPInstanceUID = "1.2.3"
    ds.MoveOriginatorApplicationEntityTitle = "MOVER"
    ds.MoveOriginatorMessageID = 9
    encoded = peer_encode(ds, True, True)
    assert encoded is not None
    assert dimse.decode(encoded) == Command(
        1, 7, None, CT, "1.2.3", 2, True, move_originator="MOVER", move_message_id=9
    )


def test_response_of_a_store() -> None:
    request = Command(dimse.C_STORE_RQ, 12, sop_class=CT, sop_instance="1.2.3", priority=0, has_data_set=True)
    encoded = dimse.encode(dimse.response(request, 0xA700, "out\\of resources\n" + "x" * 100))
    theirs = peer_decode(BytesIO(encoded), True, True)
    assert (theirs.Status, theirs.MessageIDBeingRespondedTo, theirs.CommandDataSetType) == (
        0xA700,
        12,
        0x0101,
    )
    decoded = dimse.decode(encoded)
    assert decoded.field == 0x8001
    assert decoded.responded_to == 12
    assert decoded.message_id is None
    assert decoded.status == 0xA700
    assert not decoded.has_data_set
    assert decoded.error_comment == ("out?of resources?" + "x" * 100)[:64]
    assert (decoded.sop_class, decoded.sop_instance) == (CT, "1.2.3")


def test_response_does_not_echo_what_is_no_uid() -> None:
    request = Command(dimse.C_STORE_RQ, 1, sop_class="x" * 1000, sop_instance="Müller")
    answer = dimse.response(request, dimse.INVALID_INSTANCE)
    assert (answer.sop_class, answer.sop_instance) == ("", "")


def element(tag: int, value: bytes, group: int = 0) -> bytes:
    return struct.pack("<HHI", group, tag, len(value)) + value


@pytest.mark.parametrize(
    ("data", "code", "offset"),
    [
        (b"", "field", 0),
        (b"\0\0\0", "truncated", 0),
        (element(0x100, b"\1\0") + b"\0\0", "truncated", 10),
        (struct.pack("<HHI", 0, 0x100, 0xFFFFFFFF), "length", 0),
        (struct.pack("<HHI", 0, 0x100, 3) + b"ab", "length", 0),
        (element(0x100, b"\1"), "field", 0),
        (element(0x100, b"\1\0", group=8), "field", 0),
    ],
)
def test_malformed(data: bytes, code: str, offset: int) -> None:
    with pytest.raises(CommandError) as caught:
        dimse.decode(data)
    assert (caught.value.code, caught.value.offset) == (code, offset)


def test_lenient_where_it_is_harmless() -> None:
    """Wrong group length, space-padded UIDs, unknown elements, any order."""
    data = (
        element(0x1000, b"1.2.3 ")
        + element(0x0000, b"\0\0\0\0")
        + element(0x5555, b"?")
        + element(0x0110, b"\5\0")
        + element(0x0100, b"\1\0")
        + element(0x0002, b"1.2\0")
    )
    assert dimse.decode(data) == Command(1, 5, sop_class="1.2", sop_instance="1.2.3", has_data_set=True)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_command_or_a_typed_error(data: bytes) -> None:
    try:
        dimse.decode(data)
    except CommandError as error:
        assert 0 <= error.offset <= len(data)


def test_is_uid() -> None:
    assert dimse.is_uid("1.2.840.10008.5.1.4.1.1.2")
    assert dimse.is_uid("1.02.3")
    assert not dimse.is_uid("")
    assert not dimse.is_uid("1" * 65)
    assert not dimse.is_uid("1.2.x")
    assert not dimse.is_uid("1.2.٣")
