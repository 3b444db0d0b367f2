"""Every reason in the list of the reference has words of its own, and something to do next."""

from __future__ import annotations

import re
from pathlib import Path

from wardlight.deid.report_words import WORDS, words_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "deid.md"


def test_every_reason_has_words() -> None:
    table = PAGE.read_text("utf-8").split("## What goes to quarantine")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    # The verifier's own findings share their words: two opinions did not agree.
    codes = {
        code.replace("…", "x")
        for row in rows
        if "verifier" not in row
        for code in re.findall(r"`([^`]+)`", row.split("|")[1])
    }
    assert len(codes) > 20
    other = words_of("never-heard-of")
    assert {code for code in codes if words_of(code) == other} == set()


def test_words_are_sentences_without_their_point() -> None:
    for means, then in WORDS.values():
        assert means[-1].isalnum() or means[-1] == ")", means
        assert then[0].isupper() and then[-1] not in ".!", then
