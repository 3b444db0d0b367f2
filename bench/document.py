"""Puts results into a section of a document: between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`."""

from __future__ import annotations

from pathlib import Path


def put(path: Path, section: str, text: str) -> None:
    """Replace the section in the document; a file without its markers, or none, becomes the text alone."""
    begin, end = f"<!-- bench:{section} -->", f"<!-- /bench:{section} -->"
    old = path.read_text("utf-8") if path.exists() else ""
    if begin in old and end in old:
        before, rest = old.split(begin, 1)
        text = f"{before}{begin}\n{text.strip()}\n{end}{rest.split(end, 1)[1]}"
    path.write_text(text, "utf-8")
