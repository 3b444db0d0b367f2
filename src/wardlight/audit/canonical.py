"""Canonical form of audit entries: RFC 8785 in the subset of audit.md section 1, where sorted JSON gives its bytes."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, Final

#: Largest entry, in bytes.
MAX_ENTRY: Final = 16_384

_KEY: Final = re.compile(r"[a-z0-9_]+")
_FORBIDDEN: Final = re.compile("[\x00-\x1f\ud800-\udfff]")
_INTEGER: Final = 2**53


def canonical(entry: dict[str, Any]) -> bytes:
    """The bytes of an entry that are stored, hashed and exported.

    Raises ValueError where the entry leaves the subset: then the operation that it records must fail.
    """
    _check(entry, 0)
    # No character that the encoder would escape in another way than RFC 8785 passes the check.
    content = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    if len(content) > MAX_ENTRY:
        raise ValueError("the entry is longer than 16,384 bytes")
    return content


def _check(value: object, depth: int) -> None:
    kind = type(value)
    if kind is str:
        text: str = value  # type: ignore[assignment]  # narrowed by the exact type
        if not text.isascii() and not unicodedata.is_normalized("NFC", text):
            raise ValueError("a text is not in normal form C")
        if _FORBIDDEN.search(text):
            raise ValueError("a text holds a control character or a lone surrogate")
    elif kind is int:
        if not -_INTEGER < value < _INTEGER:  # type: ignore[operator]
            raise ValueError("a number is too large")
    elif kind is dict:
        if depth > 8:
            raise ValueError("the entry is nested too deeply")
        for name, member in value.items():  # type: ignore[attr-defined]
            if type(name) is not str or not _KEY.fullmatch(name):
                raise ValueError("a member name is not made of a-z, 0-9 and _")
            _check(member, depth + 1)
    elif kind is list:
        if depth > 8:
            raise ValueError("the entry is nested too deeply")
        for member in value:  # type: ignore[attr-defined]
            _check(member, depth + 1)
    elif kind is not bool:
        raise ValueError("only texts, integers, booleans, lists and objects are allowed")
