"""ICC profiles: the same colours, and no byte that anybody wrote. Pillow's LittleCMS is the oracle of colours."""

from __future__ import annotations

import io
import struct

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from pydicom.data import get_palette_files, get_testdata_file
from pydicom.dataset import Dataset

from deid_kit import Mint, decode, encode, minimal, run, sequence
from wardlight.deid.colour_profiles import SRGB, cleaned
from wardlight.deid.verify import verify
from wardlight.deid.verify_colour import is_colour_profile
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


def made_by_pillow() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profiles() -> dict[str, bytes]:
    palette = next(path for path in get_palette_files() if path.endswith("fall.dcm"))
    return {
        "of version 4": open(get_testdata_file("crayons.icc", read=False), "rb").read(),
        "of version 2": pydicom.dcmread(palette).ICCProfile,
        "parametric": made_by_pillow(),
        "tables": with_tags(made_by_pillow(), {b"A2B0": table(False), b"B2A0": table(True)}),
    }


def with_tags(profile: bytes, more: dict[bytes, bytes]) -> bytes:
    """The profile with further tags behind its own."""
    count = struct.unpack_from(">I", profile, 128)[0]
    own = [struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(count)]
    tags = {name: profile[start : start + length] for name, start, length in own} | more
    place, entries, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        entries += struct.pack(">4sII", name, place + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = place + len(body)
    return struct.pack(">I", size) + profile[4:128] + struct.pack(">I", len(tags)) + entries + body


def table(wide: bool) -> bytes:
    head = b"mft2" if wide else b"mft1"
    head += bytes(4) + bytes((3, 3, 2, 0)) + struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    if not wide:
        return head + bytes(range(256)) * 3 + bytes(range(24)) + bytes(range(256)) * 3
    return head + struct.pack(">HH", 2, 2) + struct.pack(">6H24H6H", *range(36))


PROFILES = profiles()


def colours(profile: bytes) -> bytes:
    """What a few colours are in sRGB."""
    picture = Image.new("RGB", (8, 8))
    picture.putdata([(17 * x % 256, 31 * x % 256, 53 * x % 256) for x in range(64)])
    there = ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(picture, io.BytesIO(profile), there).tobytes()


@pytest.mark.parametrize("name", PROFILES)
def test_the_same_colours_and_nothing_else(name: str) -> None:
    mint = Mint()
    marked = with_tags(
        PROFILES[name],
        {
            b"dmnd": b"desc" + bytes(4) + struct.pack(">I", 20) + mint.word("maker").encode() + bytes(90),
            b"priv": b"data" + mint.word("private").encode(),
            b"cprt": b"text" + bytes(4) + mint.word("copyright").encode() + b"\0",
        },
    )
    word = mint.word("header").encode()[:4]
    marked = (
        marked[:48]
        + word
        + marked[52:80]
        + word
        + marked[84:100]
        + mint.word("end").encode()[:8]
        + marked[108:]
    )
    new = cleaned(marked + mint.word("behind").encode())
    assert new is not None and is_colour_profile(new) and len(new) % 4 == 0 and cleaned(new) == new
    assert not is_colour_profile(marked)
    assert not [value for value in (*mint.values.values(), word.decode()) if value.encode() in new]
    assert colours(new) == colours(PROFILES[name])


def test_a_profile_that_stands_for_others_is_srgb() -> None:
    assert is_colour_profile(SRGB) and cleaned(SRGB) == SRGB
    difference = [abs(a - b) for a, b in zip(colours(SRGB), colours(made_by_pillow()), strict=True)]
    assert max(difference) <= 1


@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_images_keep_their_colours(level: str) -> None:
    """A slide must have a profile: of what is none sRGB is left. Elsewhere it goes. Low keeps it as it is."""
    profile = PROFILES["of version 2"]
    slide, path, other = minimal(SLIDE, "SM"), Dataset(), Dataset()
    path.ICCProfile, other.ICCProfile = profile, b"Xaverine Quxley, scanner 5, 2031"
    slide.OpticalPathSequence = sequence(path, other)
    photo = minimal()
    photo.ICCProfile = b"Xaverine Quxley, scanner 5, 2031"
    if level == "low":
        del slide.OpticalPathSequence[1], photo.ICCProfile
    for name in ("Rows", "Columns", "PixelData"):
        for one in (slide, photo):
            if name in one:
                delattr(one, name)
    result, findings = run(slide, level)
    assert findings == []
    kept = [one.ICCProfile for one in decode(result.header).OpticalPathSequence]
    assert kept == ([profile] if level == "low" else [cleaned(profile), SRGB])
    assert "ICCProfile" not in decode(run(photo, level)[0].header)


def test_the_verifier_takes_no_other_profile() -> None:
    ds = minimal()
    ds.ICCProfile = PROFILES["of version 4"]
    header = encode(ds)
    for level, codes in (("high", {"colour-profile"}), ("medium", {"colour-profile"}), ("low", set())):
        out = decode(run(ds, level)[0].header)
        out.ICCProfile = ds.ICCProfile
        assert {one.code for one in verify(header, EXPLICIT_LITTLE.uid, encode(out), level=level)} == codes


@settings(max_examples=150)
@given(st.sampled_from(sorted(PROFILES)), st.data())
def test_any_damage_is_refused_or_leaves_numbers_alone(name: str, data: st.DataObject) -> None:
    damaged = bytearray(PROFILES[name])
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    new = cleaned(bytes(damaged))
    assert new is None or is_colour_profile(new)
    assert not is_colour_profile(bytes(damaged))


@pytest.mark.parametrize("place", [4, 10, 24, 40, 44, 48, 52, 56, 80, 84, 100, 127])
def test_a_header_that_says_something_is_found(place: int) -> None:
    assert not is_colour_profile(SRGB[:place] + b"\x41" + SRGB[place + 1 :])


def test_bytes_between_and_behind_are_found() -> None:
    assert not is_colour_profile(SRGB + b"ABCD") and not is_colour_profile(SRGB[:-4])
    longer = struct.pack(">I", len(SRGB) + 4) + SRGB[4:] + b"ABCD"
    assert not is_colour_profile(longer)
    assert SRGB.count(b"REMOVED") == 2
    assert not is_colour_profile(SRGB.replace(b"REMOVED", b"QUXLEYS"))
