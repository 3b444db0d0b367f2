"""The typed errors of the DICOM network protocol: what was wrong, where, and the A-ABORT reason that says so."""

from __future__ import annotations

from enum import IntEnum


class AbortReason(IntEnum):
    """Reason of an A-ABORT by the service provider, PS3.8 Table 9-26."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class PduError(ValueError):
    """A PDU, or the sequence of PDUs, breaks PS3.8.

    code: kebab-case, for logs ("pdu-length", "item-length", "context-id", …). offset: byte in the body of the PDU,
    or 0. reason: what the A-ABORT says.
    """

    def __init__(
        self, code: str, offset: int = 0, reason: AbortReason = AbortReason.INVALID_PARAMETER
    ) -> None:
        super().__init__(f"{code} at {offset}")
        self.code = code
        self.offset = offset
        self.reason = reason


class CommandError(ValueError):
    """A DIMSE command set cannot be read (PS3.7 section 6.3). code: kebab-case; offset: byte in the command set."""

    def __init__(self, code: str, offset: int = 0) -> None:
        super().__init__(f"{code} at {offset}")
        self.code = code
        self.offset = offset
