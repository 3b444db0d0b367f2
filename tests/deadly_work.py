"""Work that ends processes: what a worker process is given in tests, so it imports next to nothing."""

from __future__ import annotations

import os

from wardlight.cli.deidentify_input import Input


def deadly(numbers: tuple[int, ...], item: Input) -> str:
    """Work for a process that ends with some inputs, with all where none is named."""
    if item.number in numbers or not numbers:
        os._exit(9)
    return f"done {item.number}"
