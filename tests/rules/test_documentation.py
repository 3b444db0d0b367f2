"""The pages that come from code are what the code says, and links in the documentation lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def _generator():
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "tools" / "generate_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["settings.md", "errors.md", "audit-actions.md", "data-map.md"])
def test_generated_pages_are_current(name):
    assert (ROOT / "docs" / "reference" / name).read_text("utf-8") == _generator().PAGES[name]()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def _leaves(name, command):
    children = getattr(command, "commands", {})
    if not children:
        yield name, command
    for child_name, child in children.items():
        yield from _leaves(f"{name} {child_name}", child)


def test_every_command_explains_itself_by_an_example():
    from typer.main import get_command

    from wardlight.cli import _COMMANDS, app

    group = get_command(app)
    without = [
        full
        for name in _COMMANDS
        for full, leaf in _leaves(name, group.get_command(None, name))
        if "Example" not in (leaf.help or "")
    ]
    assert without == []
