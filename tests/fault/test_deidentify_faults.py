"""`wardlight deidentify` when things go wrong for real: killed, disk full, a file of a gigabyte, 100,000 files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pydicom
import pytest

import canary
from deid_cli_kit import PIXELS, image, outputs, part10, tree
from deid_kit import Mint
from wardlight.cli.deidentify_output import WORK

COMMAND = (sys.executable, "-m", "wardlight", "deidentify")


def batch(folder: Path, mint: Mint, count: int) -> Path:
    """So many images of a few patients, each with names of its own."""
    folder.mkdir()
    for number in range(count):
        ds = image(number)
        ds.PatientID = f"{mint.digits(f'id {number % 5}')}"
        ds.PatientName = f"{mint.cased(f'name {number}')}^{mint.cased(f'given {number}')}"
        (folder / f"{mint.word(f'file {number}')}.dcm").write_bytes(part10(ds))
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=3000)


def nothing_half(folder: Path) -> None:
    for path in outputs(folder):
        if WORK not in path.parts:
            assert len(pydicom.dcmread(path).PixelData) == len(PIXELS)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(os.urandom(40))
    return file


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_killed_and_continued(tmp_path: Path, key: Path, number: signal.Signals) -> None:
    mint = Mint()
    source, out = batch(tmp_path / "in", mint, 400), tmp_path / "out"
    command = [*COMMAND, str(source), str(out), "--key-file", str(key), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list(out.rglob("*.dcm"))) < 25:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == (130 if number != signal.SIGKILL else -9), said
    done = len(list(out.rglob("*.dcm")))
    nothing_half(out)
    assert canary.Canaries(mint.values.values()).search(out) == {}
    assert 25 <= done < 400
    resumed = run(source, out, "--key-file", key, "--workers", 2, "--resume", "--json", "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["totals"]["released"] == 400
    assert run(source, tmp_path / "whole", "--key-file", key, "--workers", 1, "-q").returncode == 0
    assert tree(out) == tree(tmp_path / "whole") and not (out / WORK).exists()


@pytest.mark.long
@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_disk_full_and_continued(tmp_path: Path, key: Path) -> None:
    mint = Mint()
    source, out = batch(tmp_path / "in", mint, 600), tmp_path / "out"
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(out)], check=True)
    try:
        full = run(source, out, "--key-file", key, "--workers", 2)
        assert full.returncode == 4, full.stderr
        assert "No space left" in full.stderr and "--resume" in full.stderr
        nothing_half(out)
        assert canary.Canaries(mint.values.values()).search(out) == {}
        subprocess.run(["mount", "-o", "remount,size=64m", str(out)], check=True)
        resumed = run(source, out, "--key-file", key, "--workers", 2, "--resume")
        assert resumed.returncode == 0, resumed.stderr
        assert run(source, tmp_path / "whole", "--key-file", key, "--workers", 1).returncode == 0
        assert tree(out) == tree(tmp_path / "whole")
    finally:
        subprocess.run(["umount", "-l", str(out)], check=True)


@pytest.mark.long
def test_a_gigabyte_passes_in_flat_memory(tmp_path: Path, key: Path) -> None:
    """Also a damaged one of that size: nothing of it is left."""
    ds = image()
    ds.Rows, ds.Columns, ds.NumberOfFrames = 1024, 1024, 512
    length = 1024 * 1024 * 512 * 2
    source = tmp_path / "in"
    source.mkdir()
    head = part10(ds)[: -len(PIXELS) - 12]
    for name, size in (("whole", length), ("cut", length - 4)):
        with (source / name).open("wb") as file:
            file.write(head + b"\xe0\x7f\x10\x00OW\0\0" + length.to_bytes(4, "little"))
            file.truncate(file.tell() + size)
    peak = measured(source / "whole", tmp_path / "out", key)
    assert peak < 300 << 10, peak
    (path,) = outputs(tmp_path / "out")
    assert path.stat().st_size > length
    done = run(source / "cut", tmp_path / "cut", "--key-file", key)
    assert done.returncode == 3 and outputs(tmp_path / "cut") == []


def measured(source: Path, out: Path, key: Path, *more: str) -> int:
    """Peak of resident memory of one process, in KiB, as it says itself at its end."""
    program = (
        "import resource,sys;from wardlight.cli import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        "print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            "deidentify",
            str(source),
            str(out),
            "--key-file",
            str(key),
            "-q",
            *more,
        ],
        capture_output=True,
        text=True,
        timeout=3000,
        check=True,
    )
    code, peak = done.stdout.split()
    assert code in ("0", "None"), done.stderr
    return int(peak)


@pytest.mark.long
def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path, key: Path) -> None:
    """100,000 files in one folder against 5,000: each a patient of their own, the worst for what is learnt."""
    peaks = []
    for count in (5_000, 100_000):
        source = tmp_path / str(count)
        source.mkdir()
        content = part10(image(1))
        for number in range(count):
            # One length for all: bytes are put in place, so that making them takes seconds.
            made = content.replace(b"PID-77120-X", b"PID-%06dX" % number)
            made = made.replace(b"1.2.826.0.1.3680043.10.9.3.1", b"1.2.826.0.1.3680043.1%07d" % number)
            (source / f"{number}").write_bytes(made)
        peaks.append(measured(source, tmp_path / f"out{count}", key, "--workers", "1"))
        assert len(outputs(tmp_path / f"out{count}")) == count
    assert peaks[1] < peaks[0] + (48 << 10), peaks
