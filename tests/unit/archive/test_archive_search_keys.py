"""Every attribute of the index as a key and in a row, at every level that it belongs to (PS3.18 section 10.6)."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from archive_kit import Kit, dataset
from platform_kit import a_platform
from wardlight.archive.attributes import (
    INSTANCE_DEFAULT,
    INSTANCE_TAGS,
    MODALITIES_IN_STUDY,
    SERIES_DEFAULT,
    SERIES_TAGS,
    STUDY_DEFAULT,
    STUDY_TAGS,
    key_of,
)
from wardlight.archive.model import MatchKey, Query
from wardlight.dicom.dictionary import keyword_of, vr_of
from wardlight.errors import WardlightError

#: Of each VR a value that the data set has, and one that it has not.
VALUES = {
    "AS": ("056Y", "057Y"), "CS": ("HELD", "OTHER"), "DA": ("20260102", "20260103"), "DS": ("1.5", "2.5"),
    "DT": ("20260102101112", "20270102101112"), "IS": ("7", "8"), "LO": ("Held here", "Not here"),
    "LT": ("Held here", "Not here"), "PN": ("Held^Name", "Other^Name"), "SH": ("HELD-1", "HELD-2"),
    "ST": ("Held here", "Not here"), "TM": ("101112", "111112"), "UI": ("1.2.826.0.1", "1.2.826.0.2"), "US": (3, 4),
}  # fmt: skip
STUDY, SERIES, INSTANCE = "search_studies", "search_series", "search_instances"
#: Level → its own attributes; a search below it matches those above, too.
LEVELS = {
    STUDY: STUDY_TAGS | {MODALITIES_IN_STUDY},
    SERIES: STUDY_TAGS | SERIES_TAGS | {MODALITIES_IN_STUDY},
    INSTANCE: STUDY_TAGS | SERIES_TAGS | INSTANCE_TAGS | {MODALITIES_IN_STUDY},
}
KEYS = [
    (level, tag) for level, tags in LEVELS.items() for tag in sorted(tags) if vr_of(tag) not in (b"SQ", b"")
]
SEQUENCES = [(level, tag) for level, tags in LEVELS.items() for tag in sorted(tags) if vr_of(tag) == b"SQ"]


@pytest.fixture(scope="module")
def kit():
    with a_platform() as platform:
        made = Kit(platform, platform.settings.data_dir)
        item = Dataset()
        item.ScheduledProcedureStepID, item.RequestedProcedureID = "SPS-1", "RP-1"
        values = {"RequestAttributesSequence": Sequence([item]), "PixelData": bytes(3 * 3 * 3)}
        for tag in STUDY_TAGS | SERIES_TAGS | INSTANCE_TAGS:
            vr = vr_of(tag).decode()
            if vr != "SQ":
                values[keyword_of(tag)] = VALUES[vr][0]
        values |= {"SpecificCharacterSet": "ISO_IR 192", "TimezoneOffsetFromUTC": "+0100", "Modality": "HELD"}
        made.store(dataset(**values))
        yield made


def found(kit, level, tag, value):
    query = Query(keys=(MatchKey((tag,), value),))
    return len(getattr(kit.archive, level)(kit.query, query).rows)


@pytest.mark.parametrize(
    ("level", "tag"), KEYS, ids=lambda one: keyword_of(one) if isinstance(one, int) else one
)
def test_each_key_finds_what_has_its_value_and_nothing_else(kit, level, tag):
    held, other = VALUES[vr_of(tag).decode()]
    if keyword_of(tag) == "TimezoneOffsetFromUTC":
        held = "+0100"
    assert found(kit, level, tag, str(held)) == 1
    assert found(kit, level, tag, str(other)) == 0
    assert found(kit, level, tag, "") == 1


@pytest.mark.parametrize(("level", "tag"), SEQUENCES)
def test_sequences_are_no_keys(kit, level, tag):
    with pytest.raises(WardlightError) as error:
        found(kit, level, tag, "x")
    assert error.value.code == "matching-key-not-supported"


def test_rows_hold_what_each_level_returns(kit):
    """All that is returned by default is in the row; the rest comes when it is asked for."""
    for level, default, own in (
        (STUDY, STUDY_DEFAULT, LEVELS[STUDY]),
        (SERIES, STUDY_DEFAULT | SERIES_DEFAULT, STUDY_TAGS | SERIES_TAGS),
        (
            INSTANCE,
            STUDY_DEFAULT | SERIES_DEFAULT | INSTANCE_DEFAULT,
            STUDY_TAGS | SERIES_TAGS | INSTANCE_TAGS,
        ),
    ):
        (row,) = getattr(kit.archive, level)(kit.query, Query()).rows
        assert set(row) == set(map(key_of, default)), level
        (row,) = getattr(kit.archive, level)(kit.query, Query(include_all=True)).rows
        missing = {keyword_of(tag) for tag in own if key_of(tag) not in row}
        assert missing <= {
            "IssuerOfAccessionNumberSequence", "ProcedureCodeSequence", "OtherPatientIDsSequence",
            "ConceptNameCodeSequence",
        }  # fmt: skip
