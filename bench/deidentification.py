"""Benchmark of `wardlight deidentify`, folder to folder, one worker, against tools from PyPI and Debian.

A tool's rate is that of the files after the first: the time for one file, which holds the start of the program, is
measured by itself and taken off, for all alike. Beside the rate stands how many identifying values of the corpus are
still found in the headers that a tool wrote.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import leak_classes, peer_tools, peers
from bench.corpora import canaries
from bench.process import ROOT, scratch
from bench.rows import Sample, Target
from bench.runner import OURS, Claim, Run, per_operation

INCLUDES = (
    "whole header at level high, identifying values harvested and searched for in the output, each output read "
    "again and verified by independent code; written without fsync. Peers: header only, no verification, no fsync; "
    " fw-file-rs with the profile in bench/fw-profile.yaml, dcmodify with the same elements (the copy it "
    "changes in place is included), the others with their defaults; start of each program taken off"
)
_SLOW = ("dicognito", "dicom-anonymizer", "deid")
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_REPLACED = {"PatientName": "REDACTED", "PatientID": "REDACTED"}
_ERASED = (
    "AccessionNumber", "StudyID", "IssuerOfPatientID", "PatientBirthDate", "PatientAge", "PatientSize", "PatientWeight",
    "PatientAddress", "PatientTelephoneNumbers", "InstitutionName", "InstitutionAddress",
    "InstitutionalDepartmentName", "ReferringPhysicianName", "PhysiciansOfRecord", "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy", "OperatorsName", "RequestingPhysician", "StationName", "DeviceSerialNumber",
    "ImageComments", "RequestedProcedureDescription", "PerformedProcedureStepID", "RequestAttributesSequence",
    "InstanceCreationDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "AcquisitionDateTime",
    "PerformedProcedureStepStartDate", "ReferencedStudySequence", "ReferencedImageSequence", "SourceImageSequence",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Used:
    """What a program took: wall and processor seconds."""

    seconds: float
    cpu: float


def run_program(command: list[str]) -> Used:
    """Run to the end. Raises RuntimeError unless it exits with 0."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"exit {process.returncode}: {said.decode('utf-8', 'replace').strip()[-200:]}")
    return Used(seconds, usage.ru_utime + usage.ru_stime)


Tool = Callable[[Path, Path], Used]
"""De-identifies a folder into another that does not exist yet."""


def ours(key: Path, source: Path, target: Path) -> Used:
    """`wardlight deidentify` with one worker."""
    command = [sys.executable, "-m", "wardlight", "deidentify", str(source), str(target)]
    return run_program([*command, "--level", "high", "--workers", "1", "--key-file", str(key)])


def packaged(tool: str, source: Path, target: Path) -> Used:
    """A tool from PyPI."""
    script = Path(__file__).parent / "peer_deidentify.py"
    return run_program([str(peer_tools.python()), str(script), tool, str(source), str(target)])


def dcmodify(source: Path, target: Path) -> Used:
    """DCMTK's dcmodify, all files in one call, on a copy."""
    began = time.perf_counter()
    cpu = time.process_time()
    shutil.copytree(source, target)
    cpu = time.process_time() - cpu
    copied = time.perf_counter() - began
    command = [peers.program("dcmodify"), "--no-backup", "--ignore-missing-tags", "--erase-private"]
    command += ["--gen-stud-uid", "--gen-ser-uid", "--gen-inst-uid"]
    for name, value in _REPLACED.items():
        command += ["--modify-all", f"{name}={value}"]
    for name in _ERASED:
        command += ["--erase-all", name]
    used = run_program(command + [str(path) for path in sorted(target.glob("*.dcm"))])
    return Used(used.seconds + copied, used.cpu + cpu)


def copy(source: Path, target: Path) -> Used:
    """A plain copy, the limit."""
    began, cpu = time.perf_counter(), time.process_time()
    shutil.copytree(source, target)
    return Used(time.perf_counter() - began, time.process_time() - cpu)


def deidentify(run: Run) -> None:
    """Rates on corpora (a) and (b), and what survived each tool."""
    key = run.folder / "hospital.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    tools: dict[str, Tool] = {
        OURS: partial(ours, key),
        "fw-file-rs": partial(packaged, "fw-file-rs"),
        "plain copy": copy,
        "dcmanon": partial(packaged, "dcmanon"),
        "dcmodify": dcmodify,
        **{name: partial(packaged, name) for name in _SLOW},
    }
    for corpus, count in (("a", run.size(400, 500, 60)), ("b", run.size(1200, 2000, 100))):
        few = min(count, run.size(40, 100, 10))
        survivors: dict[str, int] = {}
        with scratch(run.folder) as folder:
            sources = {n: _folder_of(run.files(corpus, count), n, folder) for n in {1, few, count}}
            contenders = {
                name: partial(
                    _rate,
                    tool,
                    sources[1],
                    sources[few if name in _SLOW else count],
                    folder,
                    survivors,
                    name,
                )
                for name, tool in tools.items()
            }
            what = f"deidentify folder to folder ({corpus}), one worker"
            run.compare(
                what, "inst/s", contenders, [Claim(Target(1.0), "fw-file-rs", "plain copy")], INCLUDES
            )
        left = ", ".join(f"{name} {number}" for name, number in survivors.items())
        run.notes.append(
            f"identifying values of corpus ({corpus}), of {len(canaries())}, left in headers: {left}"
        )
    _leak_classes(run, tools)


def _leak_classes(run: Run, tools: dict[str, Tool]) -> None:
    """What each tool leaves of a name in each place where names leak."""
    with scratch(run.folder) as folder:
        source = folder / "in-leaks"
        source.mkdir()
        drawn = leak_classes.make(source)
        for name, tool in tools.items():
            if name == "plain copy":
                continue
            output = folder / "out"
            try:
                tool(source, output)
            except RuntimeError as error:
                # What it wrote before it gave up counts.
                run.notes.append(f"{name} ended early on the leak classes ({str(error).split(':')[0]})")
            headers, anywhere = leak_classes.left(output, drawn)
            written = sum(path.is_file() for path in output.rglob("*.dcm"))
            places = f": {', '.join(anywhere)}" if anywhere else ""
            run.notes.append(
                f"{name}, of {len(drawn)} places where a name leaks ({written} of {len(list(source.iterdir()))}"
                f" files written): left in {len(headers)} headers, {len(anywhere)} files{places}"
            )
            shutil.rmtree(output, ignore_errors=True)


def _folder_of(files: list[Path], count: int, parent: Path) -> Path:
    folder = parent / f"in-{count}"
    folder.mkdir()
    for path in files[:count]:
        os.link(path, folder / path.name)
    return folder


def _rate(tool: Tool, one: Path, many: Path, folder: Path, survivors: dict[str, int], name: str) -> Sample:
    count = len(list(many.iterdir()))
    with scratch(folder) as outputs:
        start = tool(one, outputs / "one")
        used = tool(many, outputs / "many")
        written = [path for path in (outputs / "many").rglob("*") if path.is_file()]
        if len(written) != count:
            raise RuntimeError(f"{len(written)} of {count} files were written")
        if name not in survivors and name != "plain copy":
            survivors[name] = len(found_canaries(written))
    seconds, cpu = used.seconds - start.seconds, used.cpu - start.cpu
    if seconds <= 0:
        raise RuntimeError("too few files to tell from the start of the program")
    return Sample((count - 1) / seconds, per_operation(max(cpu, 0.0), count - 1))


def found_canaries(files: list[Path]) -> set[bytes]:
    """Identifying values of the corpora that stand in the headers of these files."""
    found: set[bytes] = set()
    for path in files:
        content = path.read_bytes()
        header = content[: content.find(_PIXEL_DATA)]
        found |= {canary for canary in canaries() if canary in header}
    return found
