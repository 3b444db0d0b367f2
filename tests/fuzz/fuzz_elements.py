"""Atheris target: scan, walk, streams, Part 10 and JSON end in a result or one typed error, whatever the bytes.

Run: `python tests/fuzz/fuzz_elements.py -max_total_time=120`; `--seeds FOLDER` first writes headers of real files.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["wardlight"]):
    from fuzz.element_checks import SYNTAXES, check_data_set, check_file, check_stream


def test_one_input(data: bytes) -> None:
    """Called by libFuzzer. The first byte chooses what is done with the rest, the second the size of chunks."""
    if len(data) < 2:
        return
    choice, step, rest = data[0], data[1] % 61 + 1, data[2:]
    if choice % 5 == 4:
        check_file(rest, step)
        return
    syntax = SYNTAXES[choice % 5]
    if not syntax.deflated:
        check_data_set(rest, syntax)
    check_stream(rest, syntax, step)


def write_seeds(folder: Path) -> None:
    """Headers of the real files, and the small data sets of the tests, as inputs to start from."""
    from unit.dicom.samples import BIG, EXPLICIT, IMPLICIT, deflate, real_headers, small

    folder.mkdir(parents=True, exist_ok=True)
    seeds = [bytes((i, 7)) + small(writer) for i, writer in enumerate((EXPLICIT, IMPLICIT, BIG))]
    seeds.append(bytes((3, 7)) + deflate(small(EXPLICIT)))
    for _, content, uid in real_headers():
        choice = {"1.2.840.10008.1.2": 1, "1.2.840.10008.1.2.2": 2, "1.2.840.10008.1.2.1.99": 3}.get(uid, 0)
        group = 144 + int.from_bytes(content[140:144], "little")
        seeds.append(bytes((choice, 7)) + content[group : group + 4096])
        seeds.append(bytes((4, 7)) + content[:2048])
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number:04d}").write_bytes(seed)


if __name__ == "__main__":
    if "--seeds" in sys.argv:
        write_seeds(Path(sys.argv[sys.argv.index("--seeds") + 1]))
    else:
        atheris.Setup(sys.argv, test_one_input)
        atheris.Fuzz()
