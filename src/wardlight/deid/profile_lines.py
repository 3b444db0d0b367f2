"""On which line of a TOML text each key stands: what an error needs, and `tomllib` does not tell.

The text was parsed by `tomllib` before, so it is good TOML; keys inside inline tables have the line of what holds them.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final, TypeAlias

#: Keys and, in arrays, places: ("override", 2, "action") is the action of the third [[override]].
Place: TypeAlias = tuple[str | int, ...]

_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}'  # long strings
    r'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\''  # strings
    r"|#[^\n]*|\n|[\[\]{},=]|[^\s\[\]{},=\"'#]+|[^\S\n]+",
    re.DOTALL,
)


class Lines:
    """Lines of keys and of the members of lists."""

    def __init__(self, text: str) -> None:
        self._found: dict[Place, int] = {}
        self._tables: Counter[str] = Counter()
        self._table: Place = ()
        line, depth, place = 1, 0, 0
        statement = ""
        key: Place | None = None
        for match in _TOKEN.finditer(text):
            piece = match[0]
            if piece == "\n" and depth == 0:
                self._header(statement, line)
                statement, key = "", None
            elif key is None and piece == "=":
                key = (*self._table, _bare(statement))
                self._found.setdefault(key, line)
            elif key is None and piece[0] != "#":
                statement += piece
            elif key is not None and piece in ("[", "{"):
                if depth == 1:
                    self._found.setdefault((*key, place), line)
                depth += 1
                place = place if depth > 1 else 0
            elif key is not None and piece in ("]", "}"):
                depth -= 1
            elif key is not None and depth == 1 and piece == ",":
                place += 1
            elif key is not None and depth == 1 and not piece.isspace() and piece[0] != "#":
                self._found.setdefault((*key, place), line)
            line += piece.count("\n")
        self._header(statement, line)

    def _header(self, statement: str, line: int) -> None:
        bare = statement.strip()
        if bare.startswith("[["):
            name = _bare(bare.strip("[]"))
            self._table = (name, self._tables[name])
            self._tables[name] += 1
        elif bare.startswith("["):
            self._table = (_bare(bare.strip("[]")),)
        else:
            return
        self._found.setdefault(self._table, line)
        self._found.setdefault(self._table[:1], line)

    def of(self, place: Place) -> int:
        """The line of a key, or of the nearest thing that holds it; 1 where nothing does."""
        for length in range(len(place), 0, -1):
            line = self._found.get(place[:length])
            if line is not None:
                return line
        return 1


def _bare(key: str) -> str:
    return key.strip().strip("\"'")
