"""Writes the report of `wardlight deidentify`: a folder with a page and JSON for each study, or one file of all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wardlight.cli.deidentify_journal import Journal
from wardlight.cli.deidentify_pictures import Pictures
from wardlight.deid.profile import Profile
from wardlight.deid.report import HELD, elements_json, outcome_json, reasons_json, rules_json, study_json
from wardlight.deid.report_html import INDEX_HEAD, INDEX_TAIL, batch_section, index_row, page, study_sections
from wardlight.deid.report_model import Rules, Study
from wardlight.deid.standard import attributes

#: How the report of what belongs to no known study is called.
_NO_STUDY = "other-inputs"


def rules_of(profile: Profile, *, dry: bool) -> Rules:
    """What the report says of the rules."""
    return Rules(
        profile.name,
        profile.level,
        tuple(sorted(profile.options)),
        f"PS3.15 {attributes.EDITION}",
        dry,
    )


def write_report(path: Path, journal: Journal, rules: Rules, pictures: Pictures) -> None:
    """Write the report; its files get their names when they are whole. Raises OSError.

    path: ends in .json or .html for one file, else a folder, made where it is not there.
    """
    if path.suffix.lower() == ".json":
        _write(path, _json(journal, rules))
    elif path.suffix.lower() in (".html", ".htm"):
        _write(path, page("De-identification report", _single(journal, rules, pictures)))
    else:
        path.mkdir(exist_ok=True)
        _folder(path, journal, rules, pictures)


def _studies(journal: Journal, pictures: Pictures | None) -> Iterator[Study]:
    """One after the other, so that one is in memory."""
    for uid in list(journal.studies()):
        outcomes = tuple(journal.outcomes(uid))
        shown = pictures.of(outcomes) if pictures is not None else ()
        yield Study(uid, outcomes, journal.changes(uid), shown)


def _json(journal: Journal, rules: Rules) -> Iterator[str]:
    """All inputs, elements and totals in one object, written line by line."""
    yield json.dumps(rules_json(rules))[:-1] + ', "inputs": ['
    before = "\n"
    for outcome in journal.outcomes():
        yield before + json.dumps(outcome_json(outcome))
        before = ",\n"
    rest: dict[str, Any] = {
        "reasons": _reasons(journal),
        "elements": elements_json(journal.changes()),
        "totals": {kind: count for kind, count in journal.totals().items() if count and kind != "flagged"},
    }
    yield "\n], " + json.dumps(rest)[1:] + "\n"


def _single(journal: Journal, rules: Rules, pictures: Pictures) -> Iterator[str]:
    yield batch_section(journal.totals(), rules, _count(journal), _reasons(journal))
    for study in _studies(journal, pictures):
        yield from study_sections(study, rules)


def _count(journal: Journal) -> int:
    return sum(bool(uid) for uid in journal.studies())


def _reasons(journal: Journal) -> list[dict[str, Any]]:
    return reasons_json(one for one in journal.outcomes() if one.kind in HELD)


def _folder(path: Path, journal: Journal, rules: Rules, pictures: Pictures) -> None:
    def rows() -> Iterator[str]:
        yield batch_section(journal.totals(), rules, _count(journal), _reasons(journal))
        yield INDEX_HEAD
        for study in _studies(journal, pictures):
            name = study.uid or _NO_STUDY
            _write(path / f"{name}.json", [json.dumps(study_json(study, rules), indent=1) + "\n"])
            _write(path / f"{name}.html", page("De-identification report", study_sections(study, rules)))
            yield index_row(study, f"{name}.html")
        yield INDEX_TAIL

    _write(path / "index.html", page("De-identification report", rows()))
    _write(path / "index.json", _json(journal, rules))


def _write(path: Path, pieces: Iterable[str]) -> None:
    with _whole(path) as part, part.open("w", encoding="utf-8") as file:
        for piece in pieces:
            file.write(piece)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file beside it, which takes its name at the end and is gone where it does not come to that."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
