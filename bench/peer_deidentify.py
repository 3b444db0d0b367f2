"""De-identify a folder with a peer's Python package. Runs in the peers' environment: `TOOL IN OUT`, one process.

Each tool is called the way its documentation shows, once for each file, and writes a file; where it can work on the
header alone, it does, and the pixels are copied by the kernel.
"""

# Nothing of this repository is imported: the peers' environment has their packages only, and this one has none of
# them, which is what the type checker is told.
from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PROFILE = Path(__file__).parent / "fw-profile.yaml"

Tool = Callable[[Path, Path], None]


def fw_file_rs() -> Tool:
    """Rust; the profile is beside this file. Only the header goes through the library."""
    from fw_file_rs.dcm import Context  # type: ignore[import-not-found]

    context: Any = Context().deid_profile(_PROFILE.read_text())

    def run(source: Path, target: Path) -> None:
        header = context.read_until_pixels(str(source))
        changed = context.deid_header(header)
        with open(source, "rb") as old, open(target, "wb") as new:
            new.write(changed)
            new.flush()
            place, end = len(header), source.stat().st_size
            while place < end:
                place += os.copy_file_range(old.fileno(), new.fileno(), end - place, place)

    return run


def dcmanon() -> Tool:
    """Rust, default settings."""
    from dcmanon import Anonymizer  # type: ignore[import-not-found]

    anonymizer: Any = Anonymizer()

    def run(source: Path, target: Path) -> None:
        target.write_bytes(anonymizer.anonymize(str(source)))

    return run


def dicognito() -> Tool:
    """Python, default settings."""
    import pydicom
    from dicognito.anonymizer import Anonymizer  # type: ignore[import-not-found]

    anonymizer: Any = Anonymizer()

    def run(source: Path, target: Path) -> None:
        ds = pydicom.dcmread(source)
        anonymizer.anonymize(ds)
        ds.save_as(target)

    return run


def dicom_anonymizer() -> Tool:
    """Python, default rules: PS3.15's Basic Profile."""
    from dicomanonymizer import anonymize_dicom_file  # type: ignore[import-not-found]

    def run(source: Path, target: Path) -> None:
        anonymize_dicom_file(str(source), str(target))

    return run


def deid() -> Tool:
    """Python, its default recipe, private elements removed."""
    from deid.config import DeidRecipe  # type: ignore[import-not-found]
    from deid.dicom import replace_identifiers  # type: ignore[import-not-found]

    recipe: Any = DeidRecipe()

    def run(source: Path, target: Path) -> None:
        replace_identifiers(
            dicom_files=[str(source)],
            deid=recipe,
            save=True,
            output_folder=str(target.parent),
            overwrite=True,
            remove_private=True,
        )

    return run


TOOLS = {
    "fw-file-rs": fw_file_rs,
    "dcmanon": dcmanon,
    "dicognito": dicognito,
    "dicom-anonymizer": dicom_anonymizer,
    "deid": deid,
}


def main(tool: str, source: Path, target: Path) -> None:
    """Every file of a folder, in order."""
    run = TOOLS[tool]()
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*.dcm")):
        run(path, target / path.name)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
