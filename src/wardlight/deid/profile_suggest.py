"""What somebody who mistyped a word may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Final

_LONGEST: Final = 200


def suggestion(word: object, known: Collection[str]) -> str:
    """Words to add to an error: the nearest known one."""
    near = difflib.get_close_matches(str(word)[:_LONGEST], known, 1)
    return f"; did you mean {near[0]}?" if near else ""
