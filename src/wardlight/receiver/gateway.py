"""What the DICOM node asks of the rest of the receiver: who may associate, and where an object goes.

The node (`receiver.scp`) knows DICOM; the gateway knows routes, the spool and the checks of the data set. Both
calls may come from many threads at once. Refusals are `WardlightError`; the C-STORE status that the sender gets is
`error.kind.dicom`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Rejection(Enum):
    """Why an association is rejected: (result, source, reason) of PS3.8 Table 9-21."""

    CALLING_AE = (1, 1, 3)
    """Permanent, service user: calling AE title not recognised. Also for an address that may not use the title."""
    CALLED_AE = (1, 1, 7)
    """Permanent, service user: called AE title not recognised: no route of this name."""
    LOCAL_LIMIT = (2, 3, 2)
    """Transient, service provider (presentation): local limit exceeded; the sender may try again later."""
    NO_REASON = (1, 1, 1)
    """Permanent, service user: no reason given."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision on one association request.

    rejection: None if it is let in. route: name of the route, given back to `Gateway.begin` and written to the log,
    so it holds configuration only. unknown_syntaxes: private and unknown SOP classes and transfer syntaxes are
    taken too.
    """

    rejection: Rejection | None
    route: str = ""
    unknown_syntaxes: bool = False

    @classmethod
    def accept(cls, route: str, *, unknown_syntaxes: bool = False) -> Admission:
        """Let the association in on `route`."""
        return cls(None, route, unknown_syntaxes)

    @classmethod
    def reject(cls, rejection: Rejection) -> Admission:
        """Turn the association away."""
        return cls(rejection)


class Sink(Protocol):
    """Takes the encoded data set of one SOP instance. Used by one thread only.

    Exactly one of two ends comes: a `commit` that returns, or `abort`. `abort` follows a `write` or `commit` that
    raised, a peer that went away, and a limit that was passed.
    """

    def write(self, data: memoryview, /) -> None:
        """Take the next bytes of the data set, of any length > 0. The view is valid only during the call.

        Raises WardlightError if the object is refused: the rest is then drained by the node, not written.
        """

    def commit(self) -> None:
        """The data set is complete. On return the object is durable: Success is answered next.

        Raises WardlightError if the object is refused or could not be made durable.
        """

    def abort(self) -> None:
        """Forget the object: nothing of it stays. Does not raise."""


class Gateway(Protocol):
    """The receiver as the DICOM node sees it."""

    def association(self, called_ae: str, calling_ae: str, address: str, /) -> Admission:
        """Decide on an association request. Titles come without padding, `address` is an IPv4 or IPv6 literal."""

    def begin(
        self,
        route: str,
        calling_ae: str,
        address: str,
        sop_class: str,
        sop_instance: str,
        transfer_syntax: str,
        /,
    ) -> Sink:
        """A C-STORE request came whose data set follows. The UIDs are the command's, not yet compared with the data.

        Raises WardlightError if the object is refused before its data, for instance `out-of-resources`.
        """
