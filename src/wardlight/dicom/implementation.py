"""How Wardlight names itself in file meta information and associations (PS3.7 D.3.3.2, PS3.10 7.1)."""

from __future__ import annotations

from typing import Final

IMPLEMENTATION_CLASS_UID: Final = "2.25.230496728872153811458750231728279764461"
IMPLEMENTATION_VERSION: Final = "WARDLIGHT_1"
