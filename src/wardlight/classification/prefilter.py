"""The first look at text: which lines may hold something, and which detectors have to look at them.

One pass over the bytes, in C where it was built (`hatch_build.py`): the shapes of tokens (runs of digits, addresses,
numbers with letters) and an automaton of all trigger words. Without it, one regular expression picks the lines, and
every detector looks at those: slower, with the same result.
"""

from __future__ import annotations

import os
import re
from array import array
from collections import deque
from collections.abc import Callable
from enum import IntFlag
from functools import cache
from typing import Any, Final

from wardlight.classification import words

_scan_plain: Callable[..., list[tuple[int, int, int]]] | None = None
if not os.environ.get("WARDLIGHT_PURE"):
    try:
        from wardlight.classification._prefilter_plain import scan as _scan_plain
    except ImportError:
        pass


class Flag(IntFlag):
    """What a line has. The first seven are shapes, which the C side knows by number; the rest are groups of words.

    digits: a run of nine digits or more, with what people put between groups of them. dotted: numbers joined by points.
    at: an e-mail address may be. colons: pairs or groups of hexadecimal digits. mixed: letters and digits as national
    numbers have them. caret: names as DICOM and HL7 write them. hl7: a segment's begin.
    """

    DIGITS = 1
    DOTTED = 2
    AT = 4
    COLONS = 8
    MIXED = 16
    CARET = 32
    HL7 = 64
    PATIENT = 128
    TITLE = 256
    NAME = 512
    BIRTH = 1 << 10
    MRN = 1 << 11
    INSURANCE = 1 << 12
    NATIONAL = 1 << 13
    PHONE = 1 << 14
    ADDRESS = 1 << 15
    DEVICE = 1 << 16
    ACCESSION = 1 << 17
    HEALTH = 1 << 18
    SECRET = 1 << 19


ALL: Final = int(sum(Flag))
#: A phrase of a group that needs a boundary at its begin, at its end.
_GROUPS: Final = (
    (words.PATIENT, Flag.PATIENT, True),
    (words.TITLES, Flag.TITLE, True),
    (words.NAME, Flag.NAME, True),
    (words.BIRTH, Flag.BIRTH, True),
    (words.MRN, Flag.MRN, True),
    (words.INSURANCE, Flag.INSURANCE, True),
    (words.NATIONAL, Flag.NATIONAL, True),
    (words.PHONE, Flag.PHONE, True),
    (words.ADDRESS, Flag.ADDRESS, True),
    (words.STREETS, Flag.ADDRESS, True),
    (words.STREET_ENDS, Flag.ADDRESS, True),
    (words.DEVICE, Flag.DEVICE, True),
    (words.ACCESSION, Flag.ACCESSION, True),
    (words.DIAGNOSIS, Flag.HEALTH, True),
    (words.CONDITIONS, Flag.HEALTH, False),
    (words.SECRET, Flag.SECRET, True),
)
#: Words of so many characters are found within others, too: `studyPatientId`; shorter ones are words of their own.
_LONG: Final = 7
#: Beginnings of words: nothing has to follow them.
_OPEN: Final = frozenset(("akia", "eyj", "asia"))
_SEPARATOR: Final = 0


def _phrases() -> list[tuple[tuple[int, ...], int]]:
    """Each phrase as bytes, 0 for what separates words; and its flag."""
    found = []
    for listed, flag, closed in _GROUPS:
        ends = listed is words.STREET_ENDS
        for phrase in words.words(listed):
            for spelt in {phrase, phrase.upper().lower(), _capital(phrase)}:
                body = tuple(_SEPARATOR if byte == 32 else byte for byte in spelt.encode())
                foreign = body[0] >= 0x80 and len(phrase) < _LONG and not phrase[0].isalpha()
                wide = len(phrase) >= (_LONG if closed else _LONG - 1) or _is_ideographic(phrase) or ends
                before = () if wide or foreign else (_SEPARATOR,)
                short = closed and len(phrase) < _LONG and phrase not in _OPEN and not _is_ideographic(phrase)
                after = (_SEPARATOR,) if short or ends else ()
                found.append(((*before, *body, *after), int(flag)))
    return found


def _capital(phrase: str) -> str:
    """With its letters beyond ASCII as capitals: the automaton folds ASCII only."""
    return "".join(
        c.upper() if ord(c) > 127 and len(c.upper().encode()) == len(c.encode()) else c for c in phrase
    )


def _is_ideographic(phrase: str) -> bool:
    return any(ord(c) >= 0x3040 for c in phrase)


class Automaton:
    """Aho and Corasick's, as one table: `table[state * width + class of byte]` is the next state."""

    def __init__(self, phrases: list[tuple[tuple[int, ...], int]]) -> None:
        used = sorted({byte for phrase, _ in phrases for byte in phrase} - {_SEPARATOR})
        number = {byte: place for place, byte in enumerate(used, 2)}
        self.width: Final = len(used) + 2
        #: 0: what separates words. 1: letters and digits that no phrase has: next to them a word is none.
        classes = [0] * 256
        for byte in range(256):
            folded = byte + 32 if 65 <= byte <= 90 else byte
            other = 1 if 97 <= folded <= 122 or 48 <= byte <= 57 or byte >= 0xC3 else 0
            classes[byte] = number.get(folded, other)
        self.classes: Final = bytes(classes)
        moves: list[dict[int, int]] = [{}]
        outputs = [0]
        for phrase, flag in phrases:
            state = 0
            for byte in phrase:
                step = 0 if byte == _SEPARATOR else number[byte]
                if step not in moves[state]:
                    moves.append({})
                    outputs.append(0)
                    moves[state][step] = len(moves) - 1
                state = moves[state][step]
            outputs[state] |= flag
        self.table, self.outputs = self._joined(moves, outputs)

    def _joined(self, moves: list[dict[int, int]], outputs: list[int]) -> tuple[array[int], array[int]]:
        """The tables, with the ways back where a phrase breaks off."""
        width = self.width
        table = array("H", bytes(2 * width * len(moves)))
        fails = [0] * len(moves)
        waiting: deque[int] = deque()
        for step, state in moves[0].items():
            table[step] = state
            waiting.append(state)
        while waiting:
            state = waiting.popleft()
            back = fails[state]
            outputs[state] |= outputs[back]
            table[state * width : (state + 1) * width] = table[back * width : (back + 1) * width]
            for step, target in moves[state].items():
                fails[target] = table[back * width + step]
                table[state * width + step] = target
                waiting.append(target)
        # Several separators are as one.
        for steps in moves:
            apart = steps.get(0)
            if apart is not None and not moves[apart].get(0):
                table[apart * width] = apart
        return table, array("I", outputs)


@cache
def automaton() -> Automaton:
    """All trigger words. Made at the first use."""
    return Automaton(_phrases())


@cache
def _rough() -> re.Pattern[bytes]:
    """Picks the lines where there is no C."""
    listed = sorted(
        {phrase.strip(b"\0") for phrase, _ in ((bytes(p), f) for p, f in _phrases())}, key=len, reverse=True
    )
    spelt = [rb"[^a-z]{1,4}".join(map(re.escape, phrase.split(b"\0"))) for phrase in listed]
    shapes = (
        rb"[0-9](?:[ ./()+-]{0,2}[0-9]){8}|\+[0-9]|@|\^|::|[0-9a-f]{2}[:-][0-9a-f]{2}[:-][0-9a-f]{2}[:-]"
        rb"|[0-9]\.[0-9]+\."
        rb"|[A-Z][0-9]{6}|[0-9]{6}[A-Z]|[A-Z]{6}[0-9]|[A-Z]{2}[0-9]{2}|[A-Z]{2}[A-Z0-9]\||[0-9a-f]{1,4}:[0-9a-f]{1,4}:"
        rb"|[0-9]{6}[-+][0-9]{3}|Ms\b"
    )
    return re.compile(shapes + rb"|" + rb"|".join(spelt), re.IGNORECASE)


def candidates(
    data: bytes | memoryview, begin: int = 0, stop: int | None = None
) -> list[tuple[int, int, int]]:
    """(start, end, flags) of each line of the bytes in which something may be found, without its line feed."""
    end = len(data) if stop is None else stop
    if _scan_plain is not None:
        known = automaton()
        return _scan_plain(data, begin, end, known.classes, known.table, known.outputs, known.width)
    return list(_rough_lines(bytes(data), begin, end))


def _rough_lines(data: bytes, begin: int, stop: int) -> Any:
    rough = _rough()
    place = begin
    while place < stop:
        found = rough.search(data, place, stop)
        if found is None:
            return
        start = data.rfind(b"\n", place, found.start()) + 1 or place
        end = data.find(b"\n", found.end() - 1, stop)
        end = stop if end < 0 else end
        yield start, end, ALL
        place = end + 1


def flags_of(text: str) -> int:
    """The flags of one line."""
    data = text.encode("utf-8", "replace")
    found = candidates(data.replace(b"\n", b" "))
    return found[0][2] if found else 0


#: Which of the two this process runs.
BUILD: Final = "pure Python" if _scan_plain is None else "with C extensions"
