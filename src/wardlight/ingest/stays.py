"""What says that an instance stays where it is."""

from __future__ import annotations


class StaysError(Exception):
    """The instance must not go into the release. reason: a code, without a tag or value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
