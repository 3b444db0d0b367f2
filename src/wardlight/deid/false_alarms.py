"""Which findings of the verifier a person may call false alarms. Loads nothing, for processes that never protect."""

from __future__ import annotations

from typing import Final

#: Never: without these nothing was verified.
NEVER: Final = frozenset({"unreadable", "unknown-level", "marker-missing"})
