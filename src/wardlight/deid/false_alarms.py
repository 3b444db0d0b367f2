"""Which findings of the verifier a person may call false alarms. Loads nothing, for processes that never protect."""

from __future__ import annotations

from typing import Final

#: That a value or word may identify is a judgement, and a person's may be better. All others say that something was not
#: done, or that nothing was verified.
ANSWERABLE: Final = frozenset(
    {"identifier", "words", "code", "private-element", "unknown-element", "unchanged-element"}
)
