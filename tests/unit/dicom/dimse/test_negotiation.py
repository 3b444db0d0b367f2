"""What is accepted, and how the acceptor answers: PS3.8 section 9.3.3, PS3.7 annex D.3, PS3.4 section B.3."""

from __future__ import annotations

import pydicom.uid
import pytest
from pynetdicom import sop_class

from wardlight.dicom.dimse import pdu
from wardlight.dicom.dimse.errors import PduError
from wardlight.dicom.dimse.items import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from wardlight.dicom.dimse.negotiation import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION,
    VERIFICATION,
    AcceptedContext,
    Negotiated,
    check_request,
    negotiate,
)
from wardlight.dicom.dimse.pdu import AssociateReject, AssociateRequest, ProposedContext
from wardlight.dicom.uid import is_valid_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PRIVATE = "1.3.12.2.1107.5.9.1"
IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
GE_BIG_ENDIAN = "1.2.840.113619.5.2"


def request(*contexts: tuple[str, tuple[str, ...]], user: UserInformation | None = None) -> AssociateRequest:
    rows = tuple(
        ProposedContext(2 * n + 1, abstract, syntaxes) for n, (abstract, syntaxes) in enumerate(contexts)
    )
    return AssociateRequest("A", "B", rows, user or UserInformation(16384), echo=pdu.titles("A", "B"))


def answer(
    *contexts: tuple[str, tuple[str, ...]], user: UserInformation | None = None, unknown: bool = False
) -> Negotiated:
    return negotiate(request(*contexts, user=user), maximum_length=1 << 20, unknown_syntaxes=unknown)


def results(negotiated: Negotiated) -> list[tuple[int, str]]:
    return [(row.result, row.transfer_syntax) for row in negotiated.accept.contexts]


def test_every_storage_class_of_the_standard() -> None:
    """pynetdicom's list, written by others; the query and substance classes that it counts in are not storage."""
    names = {uid for uid in sop_class._STORAGE_CLASSES.values() if "1.2.840.10008" in uid}
    refused = {uid for uid in names if results(answer((uid, (IMPLICIT,)))) != [(0, IMPLICIT)]}
    assert refused == set()


@pytest.mark.parametrize("uid", [uid for uid in pydicom.uid.AllTransferSyntaxes if ".1.2.7." not in uid])
def test_every_transfer_syntax_of_the_standard(uid: str) -> None:
    assert results(answer((CT, (uid,)))) == [(0, uid)]


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.6.1", "1.2.840.10008.1.2.6.2", "1.2.840.10008.1.2.7.1"])
def test_syntaxes_that_encode_no_data_set(uid: str) -> None:
    assert results(answer((CT, (uid,)), unknown=True)) == [(4, uid)]


def test_the_first_acceptable_syntax_is_taken() -> None:
    assert results(answer((CT, (JPEG, EXPLICIT, IMPLICIT)))) == [(0, JPEG)]
    assert results(answer((CT, (GE_BIG_ENDIAN, IMPLICIT, JPEG)))) == [(0, IMPLICIT)]
    assert results(answer((CT, (GE_BIG_ENDIAN, IMPLICIT)), unknown=True)) == [(0, GE_BIG_ENDIAN)]


def test_result_reasons() -> None:
    """PS3.8 Table 9-18: 3 abstract syntax, 4 transfer syntaxes not supported."""
    negotiated = answer(
        (FIND, (IMPLICIT,)), (PRIVATE, (EXPLICIT,)), (CT, (GE_BIG_ENDIAN,)), (CT, ()), ("", (IMPLICIT,))
    )
    assert results(negotiated) == [
        (3, IMPLICIT),
        (3, EXPLICIT),
        (4, GE_BIG_ENDIAN),
        (4, IMPLICIT),
        (3, IMPLICIT),
    ]
    assert negotiated.contexts == {}
    assert [row.id for row in negotiated.accept.contexts] == [1, 3, 5, 7, 9]


@pytest.mark.parametrize(
    ("abstract", "result"),
    [
        (PRIVATE, 0),
        ("1.2.840.10008.5.1.4.1.1.999999", 0),  # A storage class of a later edition.
        (FIND, 3),
        ("1.2.840.10008.5.1.4.1.1.201.2", 3),  # Inventory FIND: under the storage root, and no storage.
        ("1.2.840.10008.5.1.1.14", 3),  # Print job.
        ("1.2.840.10008.99.1", 3),  # Unknown, in the standard's own root, and not below storage.
        ("not a UID", 3),
        ("1" * 65, 3),
    ],
)
def test_unknown_classes_where_the_route_allows(abstract: str, result: int) -> None:
    assert [row[0] for row in results(answer((abstract, (IMPLICIT,)), unknown=True))] == [result]
    assert [row[0] for row in results(answer((abstract, (IMPLICIT,))))] == [3]


def test_accepted_contexts() -> None:
    negotiated = answer((VERIFICATION, (IMPLICIT,)), (FIND, (IMPLICIT,)), (CT, (JPEG,)))
    assert negotiated.contexts == {1: AcceptedContext(VERIFICATION, IMPLICIT), 5: AcceptedContext(CT, JPEG)}


def test_user_information_of_the_answer() -> None:
    user = answer((CT, (IMPLICIT,))).accept.user
    assert user == UserInformation(1 << 20, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION)
    assert is_valid_uid(IMPLEMENTATION_CLASS_UID)
    assert len(IMPLEMENTATION_VERSION) <= 16
    assert answer((CT, (IMPLICIT,))).accept.echo == pdu.titles("A", "B")


@pytest.mark.parametrize("window", [(0, 0), (1, 1), (16, 4)])
def test_asynchronous_window_is_one(window: tuple[int, int]) -> None:
    user = UserInformation(0, asynchronous_window=window)
    assert answer((CT, (IMPLICIT,)), user=user).accept.user.asynchronous_window == (1, 1)


def test_roles() -> None:
    """We are SCP only: the requestor keeps SCU, is denied SCP, and without SCU its context serves nothing."""
    user = UserInformation(
        0,
        roles=(
            RoleSelection(CT, True, True),
            RoleSelection(MR, False, True),
            RoleSelection(FIND, True, True),
        ),
    )
    negotiated = answer((CT, (IMPLICIT,)), (MR, (IMPLICIT,)), (FIND, (IMPLICIT,)), user=user)
    assert [row[0] for row in results(negotiated)] == [0, 1, 3]
    assert negotiated.accept.user.roles == (RoleSelection(CT, True, False),)


def test_extended_negotiation_of_storage() -> None:
    """PS3.4 Table B.3-2: level 2 (full), no coercion."""
    user = UserInformation(
        0,
        extended=(
            ExtendedNegotiation(CT, bytes([2, 0, 3, 0, 2, 0])),
            ExtendedNegotiation(FIND, b"\1\1\1"),
            ExtendedNegotiation(VERIFICATION, b""),
        ),
        common_extended=(CommonExtendedNegotiation(PRIVATE, "1.2.840.10008.4.2", (CT,)),),
    )
    negotiated = answer((CT, (IMPLICIT,)), (FIND, (IMPLICIT,)), (VERIFICATION, (IMPLICIT,)), user=user)
    assert negotiated.accept.user.extended == (ExtendedNegotiation(CT, bytes([2, 0, 1, 0, 0, 0])),)
    assert negotiated.accept.user.common_extended == ()


def test_user_identity_has_no_answer() -> None:
    user = UserInformation(0, identity=UserIdentity(2, True, b"user", b"password"))
    assert answer((CT, (IMPLICIT,)), user=user).accept.user.identity_response is None


def test_rejections() -> None:
    good = request((CT, (IMPLICIT,)))
    assert check_request(good, 128) is None
    assert check_request(AssociateRequest("A", "B", (), UserInformation(), protocol_version=3), 128) is None
    bad_version = AssociateRequest("A", "B", (), UserInformation(), protocol_version=2)
    assert check_request(bad_version, 128) == AssociateReject(1, 2, 2)
    bad_context = AssociateRequest("A", "B", (), UserInformation(), application_context="1.2.3")
    assert check_request(bad_context, 128) == AssociateReject(1, 1, 2)


@pytest.mark.parametrize(
    ("contexts", "maximum", "code"),
    [
        ((ProposedContext(2, CT, (IMPLICIT,)),), 0, "context-id"),
        ((ProposedContext(1, CT, (IMPLICIT,)), ProposedContext(1, MR, (IMPLICIT,))), 0, "context-id"),
        (tuple(ProposedContext(2 * n % 256 + 1, CT, (IMPLICIT,)) for n in range(129)), 0, "context-count"),
        ((), 7, "maximum-length"),
    ],
)
def test_invalid_requests(contexts: tuple[ProposedContext, ...], maximum: int, code: str) -> None:
    with pytest.raises(PduError, match=code):
        check_request(AssociateRequest("A", "B", contexts, UserInformation(maximum)), 128)
