"""`wardlight classify`: which data classes are in files, where, and why."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from wardlight.classification.found import RANK, Confidence, Finding
from wardlight.classification.model import DataClass
from wardlight.classification.packed import Seen
from wardlight.classification.scan import Scanner

#: Exit codes: done; wrong usage; a class of --fail-on was found; with --fail-on, a file could not be looked at.
DONE, USAGE, FOUND, UNSEEN = 0, 2, 3, 4
#: Files not looked at that are named, and seconds between two lines of progress.
_ROWS: Final = 20
#: Places of one kind that are named.
_PLACES: Final = 4
_PROGRESS_S: Final = 2.0

_HELP = """Say which data classes are in files, where, and why. No value that is found is ever printed.

DICOM by its elements, with identifiability and evidence; JSON, NDJSON, tables, HL7, logs and other text; each also in
gzip or as a member of a zip archive. PATH is a file, a folder with all below it, or - for standard input.

Examples:

\b
  wardlight classify study/
  wardlight classify app.log --json
  wardlight classify export.csv.gz --least low
  wardlight classify src/ tests/ --fail-on "personal data" --fail-on secrets --sarif classify.sarif
  wardlight classify ultrasound/ --pixels

Exit codes: 0 done, whether or not anything was found; 2 wrong usage; with --fail-on: 3 something of such a class was
found, 4 nothing was, but something could not be looked at; 1 an error of Wardlight.
"""


def classify(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH…", help="Files, folders, or - for standard input.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON on the output stream.")] = False,
    sarif: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write findings as SARIF 2.1.0, for CI.")
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS", help='Exit 3 where this class is found; "any" for each. May come again.'
        ),
    ] = None,
    least: Annotated[
        Confidence, typer.Option(help="Leave out what is less sure than low, medium or high.")
    ] = Confidence.MEDIUM,
    pixels: Annotated[
        bool,
        typer.Option("--pixels", help="Look for text in the pixels of DICOM objects, in confined processes."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no table.")] = False,
) -> None:
    """Replaced by `_HELP`."""
    wanted = _classes(fail_on or [])
    look = None
    if pixels:
        from wardlight.cli.classify_pixels import Pixels  # loads numpy, and the models of the detector

        look = Pixels()
    scanner = Scanner(least=least, pixels=look)
    shown = _Shown(as_json=as_json, quiet=quiet, seen=scanner.seen, keep=sarif is not None)
    try:
        for path, name in _named(paths, scanner.seen):
            for finding in scanner.file(path, name) if path else scanner.stream(sys.stdin.buffer, name):
                shown.add(finding)
            shown.file_done()
    finally:
        if look is not None:
            look.close()
    shown.finish()
    if sarif is not None:
        from wardlight.classification.sarif import document

        sarif.write_text(json.dumps(document(shown.kept, scanner.seen.refused)) + "\n", encoding="utf-8")
    if wanted & set(scanner.seen.classes):
        raise typer.Exit(FOUND)
    if wanted and scanner.seen.refused:
        raise typer.Exit(UNSEEN)


classify.__doc__ = _HELP


def _classes(named: list[str]) -> set[DataClass]:
    """Classes by their names of R1.1."""
    known = {one.value: one for one in DataClass}
    found: set[DataClass] = set()
    for name in named:
        lowered = name.strip().lower()
        if lowered == "any":
            found |= set(DataClass)
        elif lowered in known:
            found.add(known[lowered])
        else:
            _usage(f'--fail-on is "any" or one of: {", ".join(known)}')
    return found


def _usage(why: str) -> None:
    typer.echo(f"wardlight classify: {why}", err=True)
    raise typer.Exit(USAGE)


def _named(paths: list[str], seen: Seen) -> Iterator[tuple[Path | None, str]]:
    """Each file with the name that it gets. Exits where a path is none, before any is read."""
    for number, path in enumerate(paths, 1):
        if path != "-" and not Path(path).exists():
            _usage(f"PATH {number} is no file and no folder")
    return _files(paths, seen)


def _unread(error: OSError, seen: Seen) -> None:
    """A folder that cannot be listed was not looked at."""
    seen.refused.append((str(error.filename), f"file-system:{error.errno}"))


def _files(paths: list[str], seen: Seen) -> Iterator[tuple[Path | None, str]]:
    for path in paths:
        if path == "-":
            yield None, "-"
        elif not Path(path).is_dir():
            yield Path(path), path
        else:
            for folder, folders, names in os.walk(path, onerror=lambda error: _unread(error, seen)):
                folders.sort()
                for name in sorted(names):
                    file = Path(folder, name)
                    if file.is_file():
                        yield file, str(file)


class _Shown:
    """Prints findings as they come, and the sum of them."""

    def __init__(self, *, as_json: bool, quiet: bool, seen: Seen, keep: bool) -> None:
        self.classes: Counter[DataClass] = Counter()
        self.kept: list[Finding] = []
        self._keep = keep
        self._json = as_json
        self._quiet = quiet
        self._seen = seen
        self._rows: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
        self._file = ""
        self._count = 0
        self._began = self._told = time.monotonic()
        self._out = Console(highlight=False, soft_wrap=True, quiet=quiet)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        if as_json:
            sys.stdout.write('{"schema": "wardlight-classify/1", "findings": [')

    def add(self, finding: Finding) -> None:
        """One more."""
        self.classes[finding.data_class] += 1
        if self._keep:
            self.kept.append(finding)
        if self._json:
            sys.stdout.write(
                (",\n" if self._count else "\n") + json.dumps(finding.members(), ensure_ascii=False)
            )
        else:
            line = f"line {finding.line}" if finding.line else ""
            place = " ".join(
                part for part in (line, finding.keyword or finding.field or finding.element) if part
            )
            key = (finding.confidence.value, finding.data_class.value, finding.detector)
            self._rows.setdefault(key, []).append((place, finding.reason))
            self._file = finding.file
        self._count += 1
        self._progress()

    def file_done(self) -> None:
        """The rows of a file, those of one reason together."""
        self._progress()
        if not self._rows:
            return
        self._out.print(self._file, style="bold", markup=False)
        for (confidence, data_class, detector), rows in sorted(self._rows.items(), key=_surest):
            if len(rows) == 1:
                place, reason = rows[0]
                where = f"{place}: {reason}" if place else reason
            else:
                places = [place for place, _ in rows if place][:_PLACES]
                where = f"{len(rows)} × {', '.join(places)}{' …' * (len(rows) > len(places))}"
            self._out.print(f"  {data_class:26} {detector:22} {confidence:7} {where}", markup=False)
        self._rows.clear()

    def _progress(self) -> None:
        now = time.monotonic()
        if (
            self._quiet
            or now - self._told < _PROGRESS_S
            or not (self._err.is_terminal or now - self._told > 10)
        ):
            return
        self._told = now
        seen = self._seen
        self._err.print(
            f"{seen.files} files, {seen.bytes / 1e6:.0f} MB, {self._count} findings …", markup=False
        )

    def finish(self) -> None:
        """The sum."""
        seen, seconds = self._seen, time.monotonic() - self._began
        if self._json:
            summary = {
                "files": seen.files,
                "bytes": seen.bytes,
                "classes": {one.value: count for one, count in sorted(self.classes.items())},
                "refused": [{"file": file, "code": code} for file, code in seen.refused],
                "more": seen.more,
                "seconds": round(seconds, 3),
            }
            sys.stdout.write("\n], " + json.dumps(summary, ensure_ascii=False)[1:] + "\n")
            return
        for file, code in seen.refused[:_ROWS]:
            self._err.print(f"{file}: not looked at: {code}", markup=False)
        if len(seen.refused) > _ROWS:
            self._err.print(f"… and {len(seen.refused) - _ROWS} others not looked at", markup=False)
        found = (
            ", ".join(f"{count} {one.value}" for one, count in sorted(self.classes.items()))
            or "nothing found"
        )
        self._err.print(
            f"{found}; {seen.files} files, {seen.bytes / 1e6:.1f} MB in {seconds:.1f} s", markup=False
        )


def _surest(row: tuple[tuple[str, str, str], object]) -> tuple[int, str, str]:
    confidence, data_class, detector = row[0]
    return -RANK[Confidence(confidence)], data_class, detector
