"""Limits of every parser in this package: no peer's input may cost unbounded memory, time or stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one data set; going beyond one raises `DicomError`.

    depth: nested sequences (code "depth"). elements: elements at all depths together ("count"), and their items
    ("items"). items: items or fragments of one sequence ("items"). header: bytes before the pixel data ("header").
    value: bytes of one element other than pixel data ("length"). inflate_ratio: inflated over deflated bytes, looked
    at once an inflated MiB is there ("inflate-ratio"). inflated: bytes of one inflated data set ("inflate-ratio").
    """

    depth: int = 32
    elements: int = 200_000
    items: int = 100_000
    header: int = 64 << 20
    value: int = 64 << 20
    inflate_ratio: int = 200
    inflated: int = 8 << 30


LIMITS: Final = Limits()
