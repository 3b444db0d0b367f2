"""Each form of QIDO-RS search at a generated index, through HTTP on a live server: `measure(data_dir)`.

`python -m bench.queries --data DIR` prints the rows. Names, IDs and days come from the index itself, from all over it.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from bench import giants, ours
from bench.process import Server
from bench.web_client import Client, percentile, require

_JSON = "application/dicom+json"
_TIMES = 200
_MOST_S = 5.0

#: Form → the path of a search for a person's study.
FORMS: dict[str, Callable[[giants.Person], str]] = {
    "study by UID": lambda who: f"/studies?StudyInstanceUID={who.study}",
    "patient ID, exact": lambda who: f"/studies?PatientID={who.patient_id}&limit=100",
    "patient ID, prefix": lambda who: f"/studies?PatientID={who.patient_id[:6]}*&limit=100",
    "name, exact": lambda who: f"/studies?PatientName={quote(who.name)}&limit=100",
    "family name": lambda who: f"/studies?PatientName={quote(who.name.split('^')[0])}^*&limit=100",
    "name prefix of 4": lambda who: f"/studies?PatientName={quote(who.name[:4])}*&limit=100",
    "name prefix of 2": lambda who: f"/studies?PatientName={quote(who.name[:2])}*&limit=100",
    "fuzzy name": lambda who: (
        f"/studies?PatientName={quote(who.name.split('^')[0])}&fuzzymatching=true&limit=100"
    ),
    "date range": lambda who: f"/studies?StudyDate={who.date}-{who.date[:6]}31&limit=100",
    "date range and modality": lambda who: (
        f"/studies?StudyDate={who.date[:4]}0101-{who.date[:4]}1231&ModalitiesInStudy=US&limit=100"
    ),
    "first page, studies": lambda _: "/studies?limit=100",
    "first page, series": lambda _: "/series?limit=100",
    "first page, instances": lambda _: "/instances?limit=100",
    "series of a study": lambda who: f"/studies/{who.study}/series",
    "instances of a study": lambda who: f"/studies/{who.study}/instances?limit=100",
    "series by patient ID": lambda who: f"/series?PatientID={who.patient_id}&limit=100",
    "series by modality": lambda _: "/series?Modality=US&limit=100",
    "nothing found": lambda who: f"/studies?PatientID={who.patient_id}X",
}
DEEP = "a page in the depth, by its link"


def measure(data: Path) -> list[dict[str, Any]]:
    """Rows `{"form", "p50_ms", "p99_ms", "cpu_ms", "times", "rows"}` of each form at the installation in `data`.

    cpu_ms: processor time of the web process for one request, at the middle of all of the form.
    """
    token = ours.person_token(data)
    with (
        tempfile.TemporaryDirectory() as folder,
        ours.serving(Path(folder), data) as server,
    ):
        ours.wait_until_ready(server)
        server.headers = {"Authorization": f"Bearer {token}"}
        with Client(server.http, server.headers) as client:
            people = _people(client)
            if not people:
                raise RuntimeError("the index is empty")
            web = _web_process(server)
            rows = [
                _asked(client, web, form, [path(people[number % len(people)]) for number in range(_TIMES)])
                for form, path in FORMS.items()
            ]
            rows.append(_asked(client, web, DEEP, _deep(client)))
            return rows


def _people(client: Client) -> list[giants.Person]:
    """Some of the studies of days that lie all over the index."""
    found: list[giants.Person] = []
    for year in range(2016, 2027):
        for month in range(1, 13, 3):
            path = f"/studies?StudyDate={year}{month:02d}01-{year}{month:02d}31&limit=20"
            rows = require(client.get(path, _JSON, keep=True), 200, 204).json()
            found += [_person(row) for row in rows[:: max(1, len(rows) // 4)]]
    # Neighbours in time share pages of the database: mixed, each search is of another place.
    return found[::7] + found[3::7] + found[5::7] + found[1::7]


def _person(row: dict[str, Any]) -> giants.Person:
    def text(tag: str) -> str:
        value = (row.get(tag, {}).get("Value") or [""])[0]
        return str(value["Alphabetic"] if isinstance(value, dict) else value)

    return giants.Person(text("0020000D"), text("00100020"), text("00100010"), text("00080020"))


def _web_process(server: Server) -> psutil.Process:
    for child in psutil.Process(server.process.pid).children(recursive=True):
        if child.cmdline()[-1:] == ["web"]:
            return child
    raise RuntimeError("there is no web process")


def _deep(client: Client) -> list[str]:
    """Links of pages, one a page, as many as are followed quickly."""
    path, found = "/studies?limit=100", []
    for _ in range(40):
        answer = require(client.get(path, _JSON, keep=True), 200)
        link = re.search(rb'\r\nlink: <([^>]*)>; rel="next"', answer.head, re.IGNORECASE)
        if link is None:
            break
        path = link[1].decode().split("/dicom-web", 1)[1]
        found.append(path)
    last = found[-10:] or [path]
    return [last[number % len(last)] for number in range(_TIMES)]


def _asked(client: Client, web: psutil.Process, form: str, paths: list[str]) -> dict[str, Any]:
    rows = len(require(client.get(paths[0], _JSON, keep=True), 200, 204).json())
    times: list[float] = []
    used = _cpu(web)
    ends = time.perf_counter() + _MOST_S
    for path in paths[1:]:
        began = time.perf_counter()
        require(client.get(path, _JSON), 200, 204)
        times.append((time.perf_counter() - began) * 1000)
        if time.perf_counter() > ends:
            break
    cpu = (_cpu(web) - used) * 1000 / max(1, len(times))
    times.sort()
    return {
        "form": form,
        "p50_ms": round(percentile(times, 0.5), 2),
        "p99_ms": round(percentile(times, 0.99), 2),
        "cpu_ms": round(cpu, 2),
        "times": len(times),
        "rows": rows,
    }


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def main(arguments: Iterable[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(list(arguments) if arguments is not None else None)
    rows = measure(chosen.data)
    for row in rows:
        print(f"{row['form']:<34} {row['p50_ms']:>8} {row['p99_ms']:>8} {row['cpu_ms']:>8} {row['rows']:>6}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
