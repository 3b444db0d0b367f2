"""The jobs a decoder process can do, by name. This module itself imports nothing of an image library."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Final

Job = Callable[[dict[str, Any], list[memoryview]], tuple[dict[str, Any], list[bytes]]]
"""Takes arguments and data, gives results and data. Arguments and results are JSON; data is read only and may be
changed by nobody while the job runs. Raises `JobError`; anything else counts as `damaged`."""

#: name → job, filled by `load`.
JOBS: Final[dict[str, Job]] = {}
#: Modules that add to JOBS when they are imported; their imports are all that a decoder process ever loads.
MODULES: Final[tuple[str, ...]] = ("wardlight.decoding.codecs", "wardlight.decoding.render_jobs")

#: Why a job fails, in words for the answer. A decoder process says which, never more: its words are not trusted.
REASONS: Final = {
    "damaged": "the frame is damaged",
    "mismatch": "the frame does not have the size or depth that its description says",
    "too-large": "the frame is larger than the limit",
    "unsupported": "this encoding cannot be decoded here",
    "killed": "decoding took too long, too much memory, or did what it must not",
}


class JobError(Exception):
    """A job failed for one of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def job(name: str) -> Callable[[Job], Job]:
    """Decorator: the function does the job of this name."""

    def register(function: Job) -> Job:
        JOBS[name] = function
        return function

    return register


def load(modules: Sequence[str]) -> None:
    """Import the modules of this list, then everything they need has been loaded."""
    for module in modules:
        importlib.import_module(module)
