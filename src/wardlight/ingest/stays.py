"""What says that an instance stays where it is."""

from __future__ import annotations


class StaysError(Exception):
    """The instance must not go into the release. reason: a code, without a tag or value.

    reasons: all of them with tags and kinds, where somebody may be told; never a value.
    """

    def __init__(self, reason: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reasons = reasons or (reason,)
