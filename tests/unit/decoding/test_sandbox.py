"""The system call filter, run instruction by instruction for each processor against the kernel's own numbers."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from wardlight.decoding import sandbox

EXECUTABLE = 4


def answer(program: bytes, code: int, number: int, third: int = 0) -> int:
    """What the kernel would do: an interpreter for the instructions of linux/bpf_common.h that filters use."""
    data = struct.pack("=IIQ6Q", number, code, 0, 0, 0, third, 0, 0, 0)
    rows = list(struct.iter_unpack("=HBBI", program))
    accumulator, place = 0, 0
    for _ in range(len(rows)):
        operation, on_true, on_false, value = rows[place]
        place += 1
        if operation == 0x06:
            return value
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
            continue
        true = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[
            operation
        ]
        place += on_true if true else on_false
    raise AssertionError("the program does not end")


@pytest.fixture(params=sandbox.ARCHITECTURES)
def architecture(request):
    return request.param


def test_what_is_listed_passes_and_nothing_else(architecture):
    chosen = sandbox.ARCHITECTURES[architecture]
    program = sandbox.bpf(chosen)
    passes = {number for number in range(600) if answer(program, chosen.code, number) == sandbox.ALLOW}
    assert passes == {*chosen.calls.values(), *chosen.checked.values()}
    refused = {answer(program, chosen.code, number) for number in range(600)} - {sandbox.ALLOW}
    assert refused == {sandbox.REFUSE}


def test_memory_cannot_become_code(architecture):
    chosen = sandbox.ARCHITECTURES[architecture]
    program = sandbox.bpf(chosen)
    for number in chosen.checked.values():
        for protection in range(8):
            wanted = sandbox.REFUSE if protection & EXECUTABLE else sandbox.ALLOW
            assert answer(program, chosen.code, number, protection) == wanted


def test_another_architecture_or_call_table_is_killed(architecture):
    chosen = sandbox.ARCHITECTURES[architecture]
    program = sandbox.bpf(chosen)
    for other in (0x40000003, 0xC000003E, 0xC00000B7, 0x40000028):
        if other != chosen.code:
            assert answer(program, other, 0) == sandbox.KILL
    if chosen.foreign:
        assert answer(program, chosen.code, chosen.foreign | 1) == sandbox.KILL


def test_every_branch_lands_inside_the_program(architecture):
    rows = list(struct.iter_unpack("=HBBI", sandbox.bpf(sandbox.ARCHITECTURES[architecture])))
    for place, (operation, on_true, on_false, _) in enumerate(rows):
        if operation in (0x15, 0x35, 0x45):
            assert place + 1 + max(on_true, on_false) < len(rows)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        ("aarch64", "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_numbers_are_those_of_the_kernels_headers(name, header):
    if not Path(header).exists():
        pytest.skip("linux-libc-dev of this processor is not installed")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text()))
    chosen = sandbox.ARCHITECTURES[name]
    for call, number in {**chosen.calls, **chosen.checked}.items():
        assert int(found[call]) == number, call


def test_it_is_supported_on_the_machines_we_build_for():
    assert sandbox.supported()
