"""Parts of regular expressions that the detectors share, and what makes one.

All of them are linear: no repeat stands in another without something between that only one of them can take, each has a
small bound, and where a digit or letter is taken it is not given back (possessive). A test reads the parsed patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wardlight.classification.found import Confidence
from wardlight.classification.model import DataClass
from wardlight.classification.words import words

#: How far from a number its word may stand, in characters before and after it.
BEFORE: Final = 64
AFTER: Final = 24
#: Between a label and its value: `: `, ` = "`, `>`, `" : "`; at most one such sign.
SEPARATOR: Final = r"""["'\])]{0,2}[ \t]{0,4}(?:[:=#>|：]{1,2}|\bis\b)[ \t]{0,4}["'\[(]{0,2}"""
LOOSE: Final = r"""["'\])]{0,2}[ \t]{0,4}(?:[:=#>|：.]{1,2}|\bis\b)?[ \t]{0,4}["'\[(]{0,2}"""
#: A number sign between a label and its value: `MRN no. 123`.
NUMBER: Final = r"(?:[ _-]?(?:no|nr|num|number|id|nummer|n[°ºo]|№)\b\.?)?"

Judged = tuple[Confidence, str] | tuple[Confidence, str, int] | None
"""How sure a match is and why, None where it is none; and how many characters of its value are meant, if not all."""


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of value.

    flags: of the prefilter (`prefilter.Flag`) that bring it. pattern: what it looks for; the group `v` is the value,
    the whole match where there is none. judge: is given the match. label: the group of words after which alone the
    pattern is tried, 0 for anywhere.
    """

    name: str
    data_class: DataClass
    flags: int
    pattern: re.Pattern[str]
    judge: Callable[[re.Match[str]], Judged]
    label: int = 0


def phrase_regex(listed: str) -> re.Pattern[str]:
    """One of the listed phrases as words of their own; a space stands for up to three separators."""
    phrases = sorted(words(listed), key=len, reverse=True)
    spelt = "|".join(re.escape(p).replace(r"\ ", r"[\W_]{1,3}") for p in phrases)
    return re.compile(rf"(?<![^\W\d_])(?:{spelt})(?![^\W\d_])", re.IGNORECASE)


def labelled(
    name: str,
    data_class: DataClass,
    group: int,
    value: str,
    judge: Callable[[re.Match[str]], Judged],
    *,
    between: str = SEPARATOR,
    flags: int = re.IGNORECASE,
) -> Detector:
    """A value after a label of the group. between: what stands there; `LOOSE` takes a space alone, too."""
    pattern = re.compile(rf"{NUMBER}{between}(?P<v>{value})", flags)
    return Detector(name, data_class, int(group), pattern, judge, int(group))


def around(match: re.Match[str]) -> str:
    """What stands around a match."""
    start, end = match.span()
    text = match.string
    return f"{text[max(0, start - BEFORE) : start]} | {text[end : end + AFTER]}"


def before(match: re.Match[str]) -> str:
    """What stands before a match."""
    start = match.start()
    return match.string[max(0, start - BEFORE) : start]
