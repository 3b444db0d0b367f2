"""What an association acceptor answers: contexts, roles, extended negotiation (PS3.8 section 9.3.3, PS3.7 D.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from wardlight.dicom.dimse.command import is_uid
from wardlight.dicom.dimse.errors import PduError
from wardlight.dicom.dimse.items import ExtendedNegotiation, RoleSelection, UserInformation
from wardlight.dicom.dimse.pdu import (
    APPLICATION_CONTEXT,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    ProposedContext,
)
from wardlight.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.transfer_syntax import IMPLICIT_LITTLE, TRANSFER_SYNTAXES
from wardlight.dicom.uid import STORAGE_SOP_CLASSES, UID_NAMES

VERIFICATION: Final = "1.2.840.10008.1.1"

_STANDARD_ROOT: Final = "1.2.840.10008."
_STORAGE_ROOT: Final = "1.2.840.10008.5.1.4.1.1."
_LATER_STORAGE: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation Storage
        "1.2.840.10008.5.1.4.1.1.66.8",  # Height Map Segmentation Storage
        "1.2.840.10008.5.1.4.1.1.9.100.1",  # Waveform Presentation State Storage
        "1.2.840.10008.5.1.4.1.1.9.100.2",  # Waveform Acquisition Presentation State Storage
    }
)
"""Storage SOP classes of PS3.4 Table B.5-1 that are younger than the edition the dictionary is generated from."""
_NO_DATA_SET: Final = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.")
"""MIME and XML documents, and live video (PS3.22): transfer syntaxes by name that encode no data set for a C-STORE."""
_STORAGE_ANSWER: Final = bytes([2, 0, 1, 0, 0, 0])
"""PS3.4 Table B.3-2: level 2 (full) of support; digital signature level 1, because a route that de-identifies cannot
keep signatures; no coercion."""

PERMANENT: Final = 1
SERVICE_USER: Final = 1
SERVICE_PROVIDER_ACSE: Final = 2


class Result(IntEnum):
    """Result of a presentation context, PS3.8 Table 9-18."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """A presentation context in force."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The A-ASSOCIATE-AC, and the contexts it accepts by their id."""

    accept: AssociateAccept
    contexts: Mapping[int, AcceptedContext]


def check_request(request: AssociateRequest, context_limit: int) -> AssociateReject | None:
    """A rejection for what this side cannot speak (PS3.8 Table 9-21), or None.

    Raises PduError where the request itself is invalid: ids of contexts, their number, a maximum length too small to
    carry anything.
    """
    if not request.protocol_version & 1:
        return AssociateReject(PERMANENT, SERVICE_PROVIDER_ACSE, 2)  # Protocol version not supported.
    if request.application_context != APPLICATION_CONTEXT:
        return AssociateReject(PERMANENT, SERVICE_USER, 2)  # Application context name not supported.
    if len(request.contexts) > context_limit:
        raise PduError("context-count")
    ids = [context.id for context in request.contexts]
    if len(set(ids)) != len(ids) or any(number % 2 == 0 for number in ids):
        raise PduError("context-id")
    if request.user.maximum_length is not None and 0 < request.user.maximum_length < 8:
        raise PduError("maximum-length")
    return None


def negotiate(request: AssociateRequest, *, maximum_length: int, unknown_syntaxes: bool) -> Negotiated:
    """Answer a request that `check_request` let pass, as an SCP of Verification and Storage.

    Of each context the first transfer syntax that can be taken is chosen: the requestor's preference, which spares
    it a change of encoding. unknown_syntaxes: private and unknown SOP classes and transfer syntaxes are taken too.
    maximum_length: largest P-DATA-TF variable field taken, in bytes.
    """
    # A requestor that negotiates roles and does not take that of SCU cannot send us anything (PS3.7 D.3.3.4).
    not_scu = {role.sop_class for role in request.user.roles if not role.scu}
    results: list[ContextResult] = []
    accepted: dict[int, AcceptedContext] = {}
    for context in request.contexts:
        result, syntax = _decide(context, unknown_syntaxes)
        if result is Result.ACCEPTANCE and context.abstract_syntax in not_scu:
            result = Result.USER_REJECTION
        if result is Result.ACCEPTANCE:
            accepted[context.id] = AcceptedContext(context.abstract_syntax, syntax)
        results.append(ContextResult(context.id, result, syntax))
    classes = {context.abstract_syntax for context in accepted.values()}
    user = UserInformation(
        maximum_length=maximum_length,
        implementation_class=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION,
        # One operation at a time, each way (PS3.7 D.3.3.3); said only if it was asked.
        asynchronous_window=(1, 1) if request.user.asynchronous_window is not None else None,
        roles=tuple(
            RoleSelection(row.sop_class, row.scu, False)
            for row in request.user.roles
            if row.sop_class in classes
        ),
        extended=tuple(
            ExtendedNegotiation(row.sop_class, _STORAGE_ANSWER)
            for row in request.user.extended
            if row.sop_class in classes and row.sop_class != VERIFICATION
        ),
        # Common extended negotiation has no answer (PS3.7 D.3.3.6). User identity is not supported, and then gets
        # none either, even where one was requested (PS3.7 D.3.3.7.2): the requestor decides what it makes of that.
    )
    return Negotiated(AssociateAccept(request.echo, tuple(results), user), accepted)


def _decide(context: ProposedContext, unknown_syntaxes: bool) -> tuple[Result, str]:
    """The result for one context, and the transfer syntax for the answer."""
    first = context.transfer_syntaxes[0] if context.transfer_syntaxes else IMPLICIT_LITTLE.uid
    if not _is_taken(context.abstract_syntax, unknown_syntaxes):
        return Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, first
    for syntax in context.transfer_syntaxes:
        if syntax in TRANSFER_SYNTAXES:
            if not syntax.startswith(_NO_DATA_SET):
                return Result.ACCEPTANCE, syntax
        elif unknown_syntaxes and is_uid(syntax) and syntax not in UID_NAMES:
            return Result.ACCEPTANCE, syntax
    return Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, first


def _is_taken(abstract_syntax: str, unknown_syntaxes: bool) -> bool:
    if (
        abstract_syntax == VERIFICATION
        or abstract_syntax in STORAGE_SOP_CLASSES
        or abstract_syntax in _LATER_STORAGE
    ):
        return True
    if not unknown_syntaxes or abstract_syntax in UID_NAMES or not is_uid(abstract_syntax):
        return False
    # A class that a later edition of the standard adds can be recognised as storage only by its root.
    return abstract_syntax.startswith(_STORAGE_ROOT) or not abstract_syntax.startswith(_STANDARD_ROOT)
