"""Writes the OpenAPI document that the portal's client is made from: `python tools/generate_client.py`.

`npm run client` in ui/ makes the types of it; a test compares both with what is in the repository.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from wardlight.web.app import DICOMWEB, PLATFORM, TRAIL
from wardlight.web.openapi import document

OUT: Final = Path(__file__).parents[1] / "ui" / "src" / "portal" / "api" / "openapi.json"


def text() -> str:
    """The document, as it stands in the file."""
    return json.dumps(document([*DICOMWEB, *TRAIL, *PLATFORM], ""), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUT.write_text(text(), "utf-8")
