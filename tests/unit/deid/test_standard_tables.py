"""The generated tables are what the generator makes of the standard's text, and have the rows they must have."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from wardlight.deid.standard import actions, attributes, concepts, safe_private

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "generate_standard", ROOT / "tools" / "generate_standard.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate_standard"] = module
    spec.loader.exec_module(module)
    return module


def test_regenerating_gives_the_same_files(generator: ModuleType) -> None:
    for name, text in generator.generate().items():
        assert (generator.TARGET / name).read_text(encoding="utf-8") == text, name


def test_another_source_is_refused(generator: ModuleType, tmp_path: Path) -> None:
    import lzma

    other = tmp_path / "part15.xml.xz"
    other.write_bytes(lzma.compress(b"<book/>"))
    with pytest.raises(ValueError, match="edition"):
        generator.read_source(other)


def test_row_counts() -> None:
    assert len(attributes.ROWS) == 656
    assert len(attributes.COLUMNS) == 11
    assert all(len(row[4]) == 11 for row in attributes.ROWS)
    assert set(actions.ACTIONS) == {"D", "Z", "X", "K", "C", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"}
    assert len(concepts.CONCEPTS) == 214
    assert len(safe_private.SAFE_PRIVATE) == 479


def test_edition_and_hash_inside() -> None:
    for module in (attributes, actions, concepts, safe_private):
        assert module.EDITION == "2026c"
        assert module.SOURCE_SHA256 == "77d60b856faf4223ab40a398c53130fc0ee9490d0d811ee3536e6d25c02ac717"


def test_known_rows() -> None:
    by_tag = {row[0]: row for row in attributes.ROWS}
    assert by_tag["00100010"][4][0] == "Z"
    assert by_tag["00080018"][4][:3] == ("U", "", "K")
    assert by_tag["private"][4][:2] == ("X", "C")
    assert {row[4][0] for row in attributes.ROWS} <= set(actions.ACTIONS)
