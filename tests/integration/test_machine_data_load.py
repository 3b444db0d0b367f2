"""100 MB of OTLP and log lines with planted identifiers: none is stored in clear; how fast it comes in and is found.

The figures of docs/reference/machine-data.md: `pytest -m long -n 0 -s tests/integration/test_machine_data_load.py`.
"""

from __future__ import annotations

import json
import random
import time

import pytest

from machine_kit import Machines
from platform_kit import a_platform
from wardlight.machinedata.intake import Form

MB = 1_000_000
#: What is planted, as senders really write it, and never what a detector replaces it by.
PEOPLE = [
    ("Lindqvist", "Petra", "4711{:04d}", "1957-03-{:02d}"),
    ("Oyelaran", "Tunde", "8820{:04d}", "1983-11-{:02d}"),
    ("Grünwald", "Annelie", "3391{:04d}", "2001-07-{:02d}"),
]
DULL = (
    "association accepted from CT{n}, queue {q} of {q}00, {t} ms",
    "C-STORE response 0000H, {q} bytes left in spool, worker {n}",
    "GET /dicom-web/studies 200 {t} ms cache miss",
    "heartbeat ok uptime {t} s load 0.{q}",
    "transfer syntax JPEG 2000 offered, explicit VR chosen by peer {n}",
)


def planted(number: int) -> tuple[str, list[str], dict[str, str]]:
    """A line, the values in it that are nobody's business, and the same as attributes."""
    family, given, mrn, birth = PEOPLE[number % len(PEOPLE)]
    mrn, birth = mrn.format(number % 10_000), birth.format(1 + number % 28)
    mail = f"{given}.{family}{number}@clinic.example".lower()
    lines = (
        (f"patient={family}^{given} MRN: {mrn} rejected", [f"{family}^{given}", mrn]),
        (
            f"C-FIND PatientName={family}^{given} PatientBirthDate={birth.replace('-', '')}",
            [f"{family}^{given}"],
        ),
        (f"report mailed to {mail}", [mail]),
        (f"worklist entry for patient: {given} {family}, DOB {birth}", [f"{given} {family}", birth]),
    )
    line, values = lines[number % len(lines)]
    return line, values, {"patient_name": f"{family}, {given}", "patient.mrn": mrn, "user.mail": mail}


def dull(chance: random.Random) -> str:
    return chance.choice(DULL).format(n=chance.randrange(9), q=chance.randrange(99), t=chance.randrange(999))


def some_lines(chance: random.Random, size: int, secrets: set[str]) -> bytes:
    """A log of so many bytes, one line in a hundred with something planted."""
    found, held, at = [], 0, 1_790_000_000
    while held < size:
        at += 1
        text = dull(chance)
        if chance.randrange(100) == 0:
            text, values, _ = planted(chance.randrange(10_000))
            secrets.update(values)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        found.append(f"{stamp} {chance.choice(('INFO', 'INFO', 'WARN', 'ERROR'))} {text}")
        held += len(found[-1].encode()) + 1
    return "\n".join(found).encode()


def some_otlp(chance: random.Random, size: int, secrets: set[str]) -> bytes:
    """One export request of about so many bytes."""
    records, held, at = [], 0, 1_790_000_000_000_000_000
    while held < size:
        at += 1_000_000
        body, attributes = dull(chance), {"thread.name": f"worker-{chance.randrange(9)}", "code.line": "121"}
        if chance.randrange(100) == 0:
            body, values, more = planted(chance.randrange(10_000))
            secrets.update(values)
            secrets.update(more.values())
            attributes |= more
        listed = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
        record = {
            "timeUnixNano": str(at),
            "severityNumber": 9,
            "body": {"stringValue": body},
            "attributes": listed,
        }
        records.append(json.dumps(record, ensure_ascii=False))
        held += len(records[-1])
    head = '{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"pacs-gw"}}]},'
    return f'{head}"scopeLogs":[{{"logRecords":[{",".join(records)}]}}]}}]}}'.encode()


def took(work, bodies):
    """Seconds of the processor and of the clock."""
    began, cpu = time.monotonic(), time.process_time()
    for body in bodies:
        work(body)
    return time.process_time() - cpu, time.monotonic() - began


@pytest.mark.long
def test_nothing_that_is_planted_lies_there_in_clear_and_how_fast_it_is():
    chance, secrets = random.Random(8), set()
    lines = [some_lines(chance, 10 * MB, secrets) for _ in range(6)]
    otlp = [some_otlp(chance, 4 * MB, secrets) for _ in range(10)]
    with a_platform() as platform:
        ward = Machines(platform)
        for name, form, bodies in (("lines", Form.LINES, lines), ("OTLP", Form.OTLP_LOGS, otlp)):
            size = sum(map(len, bodies)) / MB
            cpu, wall = took(lambda body, form=form: ward.send(body, form=form), bodies)
            print(
                f"{name}: {size:.0f} MB, {size / wall:.1f} MB/s, {size / cpu:.1f} MB a second of the processor"
            )
        times = []
        for number in range(200):
            text = ("spool", "ERROR", f"worker-{number % 9}", f"peer {number % 9}", "nowhere-to-be-found")[
                number % 5
            ]
            begin = 1_790_000_000_000 + chance.randrange(100_000) * 1000
            began = time.monotonic()
            ward.find(text=text, from_ms=begin, to_ms=begin + 3_600_000, limit=100)
            times.append(time.monotonic() - began)
        times.sort()
        print(f"an hour's records: p50 {times[100] * 1000:.0f} ms, p99 {times[197] * 1000:.0f} ms")
        whole = []
        for text in ("nowhere-to-be-found", "no-such-word", "another-none") * 4:
            began = time.monotonic()
            ward.find(text=text, limit=100)
            whole.append(time.monotonic() - began)
        print(f"all 100 MB for a word that is not there: worst of {len(whole)}: {max(whole) * 1000:.0f} ms")
        held = sum(one[1] for one in platform.objects.list()) / MB
        print(f"stored: {held:.1f} MB")
        everything = b"".join(
            one.read_bytes() for one in platform.settings.data_dir.rglob("*") if one.is_file()
        )
        assert len(secrets) > 4000
        assert not [value for value in secrets if value.encode() in everything]
        # The same of what is shown: each record there is, page by page.
        shown, after = 0, None
        found: set[str] = set()
        kept = {value for value in secrets if not value.isdigit()}
        while True:
            page = ward.find(limit=50_000, after=after)
            text = "\n".join(
                f"{one.record.text} {json.dumps(one.record.attributes, ensure_ascii=False)}"
                for one in page.found
            )
            words = set(text.replace('"', " ").replace("=", " ").split())
            found |= {value for value in secrets if value in words}
            found |= {value for value in kept if " " in value and value in text}
            shown += len(page.found)
            after = page.next
            if after is None:
                break
        assert shown > 900_000
        assert not found, sorted(found)[:5]
