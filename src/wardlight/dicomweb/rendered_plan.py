"""What the header of an image says about how its frames are shown (PS3.4 N.2, PS3.3 C.7.6.3, C.7.6.16, C.11)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from wardlight.decoding.model import Frame
from wardlight.decoding.render_plan import Function, Lut, Plan, View, Window
from wardlight.dicomweb.rendered_attributes import Attributes, Item
from wardlight.dicomweb.rendered_parameters import LARGEST_SIDE, Parameters
from wardlight.errors import WardlightError

SHARED_GROUPS, FRAME_GROUPS = 0x52009229, 0x52009230
_PIXEL_TRANSFORMATION, _FRAME_VOI, _PIXEL_MEASURES = 0x00289145, 0x00289132, 0x00289110
_SAMPLES, _PHOTOMETRIC, _PLANAR = 0x00280002, 0x00280004, 0x00280006
_ROWS, _COLUMNS, _ASPECT = 0x00280010, 0x00280011, 0x00280034
_ALLOCATED, _STORED, _HIGH_BIT, _REPRESENTATION = 0x00280100, 0x00280101, 0x00280102, 0x00280103
_PADDING, _PADDING_LIMIT = 0x00280120, 0x00280121
_CENTER, _WIDTH, _FUNCTION = 0x00281050, 0x00281051, 0x00281056
_INTERCEPT, _SLOPE = 0x00281052, 0x00281053
_MODALITY_LUTS, _VOI_LUTS, _DESCRIPTOR, _LUT_DATA = 0x00283000, 0x00283010, 0x00283002, 0x00283006
_PRESENTATION_SHAPE, _PIXEL_PRESENTATION = 0x20500020, 0x00089205
_PALETTES: Final = tuple((0x00281101 + n, 0x00281201 + n, 0x00281221 + n) for n in range(3))
_ICC, _OPTICAL_PATHS = 0x00282000, 0x00480105
#: Spacing of pixels, from the most to the least meant for display (PS3.3 10.7.1.3).
_SPACINGS: Final = (0x00280030, 0x00181164, 0x00182010)
#: Bytes of a look-up table that count: 65,536 entries of 16 bits, in segments at most four times that.
_TABLE, _SEGMENTS = 2 << 16, 8 << 16
#: A larger ICC profile is left out; it would go through memory with each frame.
_PROFILE: Final = 16 << 20
_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
#: Ratios of pixel sides within the first are square for the eye; beyond the second they are a mistake.
_SQUARE, _ODD = 1.01, 16.0
_NAME, _PATIENT, _BIRTH, _SEX = 0x00100010, 0x00100020, 0x00100030, 0x00100040


@dataclass(frozen=True)
class ImageHeader:
    """The header of an image, and what of it is the same for each frame.

    syntax: UID of the transfer syntax. floating: the pixel data is Float or Double Float. words: it has VR OW.
    """

    attributes: Attributes = field(repr=False)

    syntax: str
    floating: bool = False
    words: bool = False

    @cached_property
    def frame(self) -> Frame:
        """How a frame is to be decoded. Raises `cannot-decode` where the description contradicts itself."""
        of = self.attributes
        allocated = 32 if self.floating else of.whole(_ALLOCATED, 8)
        if self.floating and allocated != of.whole(_ALLOCATED, 32):
            allocated = 64
        stored = of.whole(_STORED, allocated) if not self.floating else allocated
        found = Frame(
            syntax=self.syntax,
            rows=of.whole(_ROWS, 0),
            columns=of.whole(_COLUMNS, 0),
            samples=of.whole(_SAMPLES, 1),
            photometric=of.text(_PHOTOMETRIC) or "MONOCHROME2",
            bits_allocated=allocated,
            bits_stored=stored,
            high_bit=of.whole(_HIGH_BIT, stored - 1) if not self.floating else allocated - 1,
            signed=bool(of.whole(_REPRESENTATION, 0)),
            planar=of.whole(_PLANAR, 0),
            floating=self.floating,
            words=self.words,
        )
        if not found.sound:
            raise WardlightError(
                "cannot-decode", "the description of the pixels is missing or contradicts itself"
            )
        return found

    @cached_property
    def frame_groups(self) -> list[Item]:
        """Items of the Per-Frame Functional Groups Sequence, unread."""
        return list(self.attributes.items(FRAME_GROUPS))

    @property
    def frames(self) -> int:
        """Number of Frames."""
        return max(1, self.attributes.whole(0x00280008, 1))

    @property
    def representative(self) -> int:
        """Representative Frame Number (PS3.3 C.7.6.6), from 1; 0 where there is none."""
        number = self.attributes.whole(0x00286010, 0)
        return number if 1 <= number <= self.frames else 0

    @property
    def frame_ms(self) -> float:
        """How long a frame is shown (PS3.3 C.7.6.5): Frame Time, else a rate, else a tenth of a second."""
        of = self.attributes
        time = of.number(0x00181063, 0.0)
        if time <= 0:
            rate = of.number(0x00082144, 0.0) or of.number(0x00180040, 0.0)
            time = 1000.0 / rate if rate > 0 else 100.0
        return min(max(time, 1.0), 60_000.0)


def plan_for(header: ImageHeader, frame: int, wanted: Parameters) -> tuple[Plan, list[bytes]]:
    """The plan for one frame, counting from 1, and the tables and profile that go with it.

    Raises `bad-request` for a region outside the image.
    """
    of = header.attributes
    parts: list[bytes] = []
    of_all = header.frame
    groups = _groups(header, frame)
    plan = Plan(
        photometric=of_all.photometric,
        bits_stored=of_all.bits_stored,
        high_bit=of_all.high_bit,
        signed=of_all.signed,
        view=_view(wanted.view, of_all, groups),
        corners=_corners(of, wanted.annotations),
        quality=wanted.quality,
    )
    if of_all.photometric in _GREY:
        plan = _grey(plan, of, groups, wanted, parts)
    if of_all.photometric == "PALETTE COLOR":
        plan = replace(plan, palette=_palette(of, parts))
    elif of_all.photometric in _GREY and of.text(_PIXEL_PRESENTATION) == "COLOR" and _PALETTES[0][0] in of:
        plan = replace(plan, palette=_palette(of, parts), supplemental=True)
    if wanted.icc != "no":
        plan = replace(plan, icc_use=wanted.icc, icc=_profile(of, parts))
    return plan, parts


def _groups(header: ImageHeader, frame: int) -> list[Attributes]:
    """Where to look for what may differ from frame to frame: the frame's own groups, those of all, the top level."""
    own = header.frame_groups[frame - 1 : frame]
    shared = header.attributes.item(SHARED_GROUPS)
    return [*(item.opened for item in own), *([shared] if shared else []), header.attributes]


def _macro(groups: list[Attributes], sequence: int, tag: int) -> Attributes | None:
    """The data set that has this attribute: the item of a functional group, or the top level (PS3.3 C.7.6.16.2)."""
    for group in groups:
        for place in (group.item(sequence), group):
            if place is not None and tag in place and place.raw(tag):
                return place
    return None


def _grey(
    plan: Plan, of: Attributes, groups: list[Attributes], wanted: Parameters, parts: list[bytes]
) -> Plan:
    signed = plan.signed
    luts = of.item(_MODALITY_LUTS)
    modality = _lut(luts, _DESCRIPTOR, _LUT_DATA, parts, signed=signed) if luts else None
    slope, intercept = 1.0, 0.0
    if modality is None and (place := _macro(groups, _PIXEL_TRANSFORMATION, _SLOPE)):
        slope, intercept = place.number(_SLOPE, 1.0) or 1.0, place.number(_INTERCEPT, 0.0)
    window, voi = wanted.window, None
    if window is None:
        window = _window(groups)
    if window is None:
        tables = next((found for group in groups if (found := _voi_table(group))), None)
        below = modality is None and (signed or intercept < 0)
        voi = _lut(tables, _DESCRIPTOR, _LUT_DATA, parts, signed=below) if tables else None
    shape = of.text(_PRESENTATION_SHAPE)
    return replace(
        plan,
        slope=slope,
        intercept=intercept,
        modality=modality,
        window=window,
        voi=voi,
        inverse=plan.photometric == "MONOCHROME1" or shape == "INVERSE",
        padding=_padding(of, signed),
    )


def _voi_table(group: Attributes) -> Attributes | None:
    within = group.item(_FRAME_VOI)
    return (within.item(_VOI_LUTS) if within else None) or group.item(_VOI_LUTS)


def _window(groups: list[Attributes]) -> Window | None:
    """The first window, unless it is none: widths of 0 are found in the field (PS3.3 C.11.2.1.2)."""
    place = _macro(groups, _FRAME_VOI, _WIDTH)
    if place is None:
        return None
    centers, widths = place.numbers(_CENTER), place.numbers(_WIDTH)
    if not centers or not widths or widths[0] <= 0:
        return None
    try:
        function = Function(place.text(_FUNCTION).lower().replace("_", "-") or "linear")
    except ValueError:
        function = Function.LINEAR
    if function is Function.LINEAR and widths[0] < 1:
        function = Function.LINEAR_EXACT  # What the writer of "0.5" for parametric maps must mean.
    return Window(centers[0], widths[0], function)


def _padding(of: Attributes, signed: bool) -> tuple[int, int] | None:
    values = of.numbers(_PADDING, signed=signed)
    if not values:
        return None
    limits = of.numbers(_PADDING_LIMIT, signed=signed) or values
    return int(min(values[0], limits[0])), int(max(values[0], limits[0]))


def _lut(
    of: Attributes, descriptor: int, data: int, parts: list[bytes], *, signed: bool, segmented: bool = False
) -> Lut | None:
    """A look-up table by its descriptor (PS3.3 C.11.1.1.1); its entries are added to the parts."""
    words = of.numbers(descriptor, signed=False)
    table = of.words(data, _SEGMENTS if segmented else _TABLE)
    if len(words) != 3 or not table:
        return None
    count, first, bits = (int(word) for word in words)
    if not 1 <= bits <= 16:
        return None
    parts.append(table)
    return Lut(
        first=first - 0x10000 if signed and first > 0x7FFF else first,
        count=count or 0x10000,
        bits=bits,
        part=len(parts) - 1,
        segmented=segmented,
    )


def _palette(of: Attributes, parts: list[bytes]) -> tuple[Lut, Lut, Lut] | None:
    found = []
    for descriptor, plain, segmented in _PALETTES:
        in_segments = plain not in of
        lut = _lut(
            of, descriptor, segmented if in_segments else plain, parts, signed=False, segmented=in_segments
        )
        if lut is None:
            return None
        found.append(lut)
    # Only the first channel's descriptor tells count and first value (PS3.3 C.7.6.3.1.5).
    red, green, blue = (replace(lut, count=found[0].count, first=found[0].first) for lut in found)
    return red, green, blue


def _view(view: View, frame: Frame, groups: list[Attributes]) -> View:
    rows, columns = frame.rows, frame.columns
    region = view.region
    if region is not None:
        left, top, wide, high = region
        if left >= columns or top >= rows:
            raise WardlightError("bad-request", "the viewport's region lies outside the image")
        region = (left, top, min(wide, columns - left), min(high, rows - top))
    stretch = _stretch(groups)
    if columns * stretch[0] > LARGEST_SIDE or rows * stretch[1] > LARGEST_SIDE:
        stretch = (1.0, 1.0)
    if not view.width and max(rows, columns) > LARGEST_SIDE:
        view = replace(view, width=LARGEST_SIDE, height=LARGEST_SIDE)
    return replace(view, region=region, stretch=stretch)


def _stretch(groups: list[Attributes]) -> tuple[float, float]:
    """Factors for columns and rows that make pixels square; neither makes the image smaller."""
    sides: list[float] = []
    for tag in _SPACINGS:
        place = _macro(groups, _PIXEL_MEASURES, tag)
        sides = sides or (place.numbers(tag) if place else [])
    sides = sides or groups[-1].numbers(_ASPECT)
    if len(sides) < 2 or min(sides[:2]) <= 0:
        return 1.0, 1.0
    ratio = sides[0] / sides[1]
    if not _SQUARE < max(ratio, 1 / ratio) < _ODD:
        return 1.0, 1.0
    return (1.0, ratio) if ratio > 1 else (1 / ratio, 1.0)


def _profile(of: Attributes, parts: list[bytes]) -> int:
    """The part with the ICC profile (PS3.3 C.11.15); -1 where there is none."""
    path = of.item(_OPTICAL_PATHS)
    profile = of.raw(_ICC, _PROFILE + 1) or (path.raw(_ICC, _PROFILE + 1) if path else b"")
    if not 0 < len(profile) <= _PROFILE:
        return -1
    parts.append(profile)
    return len(parts) - 1


def _corners(of: Attributes, annotations: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lines of text for the corners: who on the left, how on the right (PS3.18 8.3.5.1.1)."""
    left: list[str] = []
    right: list[str] = []
    if "patient" in annotations:
        name = of.text(_NAME).split("=")[0].replace("^", " ")
        left = [" ".join(name.split()), of.text(_PATIENT), " ".join((of.text(_BIRTH), of.text(_SEX))).strip()]
    if "technique" in annotations:
        right = [
            " ".join((of.text(0x00080060), of.text(0x0008103E) or of.text(0x00181030))).strip(),
            _quantities(of, ((0x00180060, "kV"), (0x00181152, "mAs"), (0x00181151, "mA"))),
            _quantities(of, ((0x00180080, "ms TR"), (0x00180081, "ms TE"), (0x00180082, "ms TI"))),
            _quantities(of, ((0x00180050, "mm"), (0x00201041, "mm at"))),
        ]
    return tuple(line for line in left if line), tuple(line for line in right if line)


def _quantities(of: Attributes, wanted: tuple[tuple[int, str], ...]) -> str:
    return "  ".join(f"{of.numbers(tag)[0]:g} {unit}" for tag, unit in wanted if of.numbers(tag))
