"""Why a document is not cleaned."""

from __future__ import annotations

from typing import Final


class DocumentError(Exception):
    """The document stays, and its object with it. code: stable; never a value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code: Final = code
