"""Precision and recall of each detector on the labelled documents, and speed: tables of docs/reference/classifier.md.

Run it after changing a detector: `.venv/bin/python tests/classifier_scores.py`. A test compares scores and page.
"""

# ruff: noqa: E501
from __future__ import annotations

import io
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import deid_data
import pydicom.data
from pydicom.data import get_testdata_file

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from classifier_corpus import SEED, Document, documents  # noqa: E402
from wardlight.classification.explained import EXPLAINED  # noqa: E402
from wardlight.classification.found import Confidence, Finding  # noqa: E402
from wardlight.classification.mask import Masker  # noqa: E402
from wardlight.classification.scan import Scanner  # noqa: E402

PAGE = Path(__file__).parents[1] / "docs/reference/classifier.md"


@dataclass
class Score:
    """Lines on which a detector was right, found too much, and missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


def found(document: Document, least: Confidence) -> list[Finding]:
    return list(Scanner(least=least).stream(io.BytesIO(document.text.encode()), document.name))


@cache
def scores(least: Confidence = Confidence.MEDIUM, seed: int = SEED) -> tuple[dict[str, Score], list[str]]:
    """By detector, and what went wrong in words."""
    result: dict[str, Score] = {}
    told: list[str] = []
    for document in documents(seed):
        places = {(one.line, one.detector) for one in found(document, least)}
        lines = document.text.split("\n")
        for kind, some in (("missed", document.labels - places), ("wrong", places - document.labels)):
            for line, detector in sorted(some):
                # A condition by its code is one by its name, too.
                if detector == "icd-code" and (line, "health") in document.labels:
                    continue
                score = result.setdefault(detector, Score())
                setattr(score, kind, getattr(score, kind) + 1)
                told.append(f"{kind} {detector} {document.name}:{line}: {lines[line - 1][:150]}")
        for _, detector in document.labels & places:
            result.setdefault(detector, Score()).right += 1
    return dict(sorted(result.items())), told


def total(result: dict[str, Score]) -> Score:
    return Score(
        sum(one.right for one in result.values()),
        sum(one.wrong for one in result.values()),
        sum(one.missed for one in result.values()),
    )


def rows(result: dict[str, Score]) -> Iterator[str]:
    for name, one in [*result.items(), ("**all**", total(result))]:
        yield f"| {name} | {one.right + one.missed} | {one.precision:.3f} | {one.recall:.3f} |"


def tables() -> str:
    """What is measured of the detectors, for the page: a test compares it."""
    usual, all_ = scores()[0], scores(Confidence.LOW)[0]
    other = total(scores(seed=4711)[0])
    found = list(documents())
    kinds = Counter(one.kind for one in found)
    languages = sorted({one.language for one in found} - {""})
    lines = [
        f"{len(found)} documents in {len(languages)} languages ({', '.join(languages)}): "
        + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) + ".",
        "",
        "| detector | labelled lines | precision | recall |",
        "|---|---|---|---|",
        *rows(usual),
        "",
        f"With `--least low` all together: precision {total(all_).precision:.3f}, recall {total(all_).recall:.3f}. "
        f"Of another seed, with which no detector was made: precision {other.precision:.3f}, recall {other.recall:.3f}.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def ordinary(count: int, telling: int = 0) -> bytes:
    """Lines of a log; telling: of a thousand so many hold an address or a name."""
    r = Random(1)
    lines = []
    for number in range(count):
        tells = number % 1000 < telling
        said = (
            f"mail to {r.randint(1, 999)}@x.example sent"
            if tells
            else r.choice(MESSAGES).format(r.randint(1, 10**6))
        )
        lines.append(
            f"2026-11-24T22:03:{number % 60:02d}.{number % 1000:03d}Z INFO worker[{number % 64}] {said}"
        )
    return ("\n".join(lines) + "\n").encode()


MESSAGES = (
    "sealed segment 9f86d081884c7d65 of {} bytes in 34 ms",
    "association accepted, calling AE CT01, {} objects waiting",
    "request took {} ms, 200, GET /dicom-web/studies",
    "queue depth {}, oldest 15 s, load 0.42 0.51 0.60",
)


OTLP = (
    b'{"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "web"}}]}, "scopeLogs": '
    b'[{"scope": {"name": "receiver"}, "logRecords": [{"timeUnixNano": "1764021825123456789", "severityText": "INFO", "body": '
    b'{"stringValue": "stored 5 objects in 12 ms"}, "traceId": "b34dec74afc6ee6fa8e33c94f78047cf"}]}]}]}\n'
)
ACCESS = (
    b'10.1.2.3 - - [24/Nov/2026:22:03:45 +0000] "GET /dicom-web/studies HTTP/1.1" 200 4711 "-" "curl/8.5.0"\n'
)


def speeds() -> str:
    """Megabytes in a second of one processor's time."""
    plain, one, many = ordinary(200_000), ordinary(200_000, 10), ordinary(40_000, 200)
    table = b"patient_name,dob,mrn,value\n" + b"Doe^Jane,1950-01-02,4711001,3.5\n" * 5000
    record = b"".join(
        b'{"time": "2026-01-01T00:00:00Z", "level": "info", "n": %d, "msg": "queue is empty"}\n' % n
        for n in range(60_000)
    )
    ct = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    measured = [
        ("mask: log, nothing to be found", _masked(plain)),
        ("mask: log, 1 line of 100 with something", _masked(one)),
        ("mask: log, 1 line of 5 with something", _masked(many)),
        ("mask: OTLP logs, one record on a line, nothing to be found", _masked(OTLP * 8000)),
        ("mask: access log, an address on each line", _masked(ACCESS * 8000)),
        ("classify: log, nothing to be found", _classified(plain)),
        ("classify: NDJSON, nothing to be found", _classified(record)),
        ("classify: table, three columns of persons", _classified(table)),
        ("classify: DICOM (CT of 39 kB, 220 elements)", _classified(ct, 40)),
    ]
    lines = ["| | MB/s |", "|---|---|", *(f"| {what} | {speed:.1f} |" for what, speed in measured)]
    return "\n".join(lines) + "\n"


def _masked(data: bytes) -> float:
    text, masker = data.decode(), Masker()
    for start in range(0, len(text), 1 << 20):
        masker.mask(text[start : start + (1 << 20)])
    return masker.speed.megabytes_per_second


def _classified(data: bytes, times: int = 1) -> float:
    list(Scanner().stream(io.BytesIO(data[:1000]), "warm"))
    began = time.thread_time()
    for _ in range(times):
        list(Scanner().stream(io.BytesIO(data), "file"))
    return len(data) * times / (time.thread_time() - began) / 1e6


def real_files() -> str:
    """pydicom's own files and those of deid-data: what is said of each."""
    lines = [
        "| files | of them looked at | image data, identified | pseudonymised | with a face | text in pixels likely |",
        "|---|---|---|---|---|---|",
    ]
    for name, folder in (
        ("pydicom", Path(pydicom.data.__file__).parent / "test_files"),
        ("deid-data", Path(deid_data.__file__).parent),
    ):
        files = [
            one for one in sorted(folder.rglob("*")) if one.is_file() and one.suffix not in (".py", ".pyc")
        ]
        scanner, said = Scanner(least=Confidence.LOW), Counter[str]()
        for file in files:
            for finding in scanner.file(file, "x"):
                kind = (
                    finding.data_class.value
                    if finding.detector == "dicom-identifiability"
                    else finding.detector
                )
                said[kind] += 1
        looked = len(files) - len(scanner.seen.refused)
        counts = (
            said[kind]
            for kind in (
                "image data, identified",
                "image data, pseudonymised",
                "dicom-face",
                "burned-in-text",
            )
        )
        lines.append(f"| {name}: {len(files)} | {looked} | " + " | ".join(map(str, counts)) + " |")
    return "\n".join(lines) + "\n"


def detectors() -> str:
    return "\n".join(f"| `{name}` | {said} |" for name, said in EXPLAINED.items()) + "\n"


def replaced(page: str, name: str, body: str) -> str:
    """The page with what stands between the comments of this name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    return page[: page.index(begin) + len(begin)] + "\n" + body + "\n" + page[page.index(end) :]


if __name__ == "__main__":
    if "--told" in sys.argv:
        print(
            "\n".join(
                scores(Confidence(sys.argv[-1]) if sys.argv[-1] in set(Confidence) else Confidence.MEDIUM)[1]
            )
        )
    text = PAGE.read_text("utf-8")
    for part in (tables, speeds, real_files):
        made = part()
        print(made)
        text = replaced(text, part.__name__, made)
    PAGE.write_text(replaced(text, "detectors", "| detector | finds |\n|---|---|\n" + detectors()), "utf-8")
