"""Small valid CT instances made from bytes, as many as a test wants, each with UIDs and a name of its own."""

from __future__ import annotations

import struct

from bench.fast_store_scu import Instance

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
ROOT = "1.2.826.0.1.3680043.8.498.77."


def element(tag: int, vr: str, value: str | bytes) -> bytes:
    """One explicit VR little endian element, padded."""
    encoded = value.encode() if isinstance(value, str) else value
    if len(encoded) % 2:
        encoded += b"\0" if vr in ("UI", "OB") else b" "
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in ("OB", "OW", "SQ", "UN"):
        return head + struct.pack("<HI", 0, len(encoded)) + encoded
    return head + struct.pack("<H", len(encoded)) + encoded


def instance(number: int, *, per_study: int = 50, size: int = 32, prefix: str = "1") -> Instance:
    """CT instance `number` of `size` × `size` pixels; every `per_study` of them make a study of one patient."""
    study = number // per_study
    sop = f"{ROOT}{prefix}.3.{number + 1}"
    rows = [
        element(0x00080005, "CS", "ISO_IR 192"),
        element(0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        element(0x00080016, "UI", CT),
        element(0x00080018, "UI", sop),
        element(0x00080020, "DA", "20250310"),
        element(0x00080030, "TM", "101500"),
        element(0x00080050, "SH", f"ACC{prefix}{study:05d}"),
        element(0x00080060, "CS", "CT"),
        element(0x00080090, "PN", "Weaver^Ruth"),
        element(0x00081030, "LO", "CT CHEST"),
        element(0x00100010, "PN", f"Kestrel{prefix}{study:04d}^Ivo"),
        element(0x00100020, "LO", f"KEST-{prefix}-{study:05d}"),
        element(0x00100030, "DA", "19600101"),
        element(0x00100040, "CS", "M"),
        element(0x0020000D, "UI", f"{ROOT}{prefix}.1.{study + 1}"),
        element(0x0020000E, "UI", f"{ROOT}{prefix}.2.{study + 1}"),
        element(0x00200010, "SH", "1"),
        element(0x00200011, "IS", "1"),
        element(0x00200013, "IS", str(number % per_study + 1)),
        element(0x00280002, "US", struct.pack("<H", 1)),
        element(0x00280004, "CS", "MONOCHROME2"),
        element(0x00280010, "US", struct.pack("<H", size)),
        element(0x00280011, "US", struct.pack("<H", size)),
        element(0x00280100, "US", struct.pack("<H", 16)),
        element(0x00280101, "US", struct.pack("<H", 12)),
        element(0x00280102, "US", struct.pack("<H", 11)),
        element(0x00280103, "US", struct.pack("<H", 0)),
        element(0x00281052, "DS", "-1024"),
        element(0x00281053, "DS", "1"),
        element(0x7FE00010, "OW", struct.pack("<H", number % 4096) * (size * size)),
    ]
    return Instance(CT, sop, EXPLICIT_LITTLE, memoryview(b"".join(rows)))
