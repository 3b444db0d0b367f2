"""Which findings of the verifier a person may call false alarms. Loads nothing, for processes that never protect."""

from __future__ import annotations

from typing import Final

#: That a word may identify is a judgement, and a person's may be better. All others say that something was not done,
#: that nothing was verified, or that a value of this patient stands there: a finding names a place and no value, so
#: that with one of them others there would leave unseen.
ANSWERABLE: Final = frozenset({"words", "code", "private-element", "unknown-element", "unchanged-element"})
