"""Requests to others leave through `wardlight.egress` alone (security.md section 7); what does not is listed."""

from __future__ import annotations

import ast
from pathlib import Path

from source_kit import nodes

SOURCE = Path(__file__).resolve().parent.parent.parent / "src" / "wardlight"
#: Libraries that connect somewhere.
CLIENTS = {
    "http.client", "urllib.request", "urllib3", "httpx", "requests", "aiohttp", "websockets", "ftplib", "smtplib",
    "telnetlib", "xmlrpc.client", "obstore",
}  # fmt: skip
#: Functions and methods that do.
CALLS = {"create_connection", "open_connection", "wrap_socket"}

LISTED = {
    "egress.py": "the client itself",
    "objects/s3.py": "the object store that the operator's settings name",
    "objects/s3_calls.py": "the object store that the operator's settings name",
    "receiver/connection.py": "a receiver, in the hospital's network, to its platform: the one address of its settings",
    "receiver/credential.py": "a receiver to its platform",
    "receiver/enrolment.py": "a receiver to its platform",
    "receiver/exchange.py": "a receiver to its platform",
    "receiver/status.py": "a receiver, whether its platform answers",
    "receiver/upload.py": "a receiver to its platform",
    "smtp.py": "mail, on a connection that the client itself made and checked",
    "trail/syslog.py": "audit entries to collectors that the operator names, over syslog",
    "cli/demo_seed.py": "the demo, to itself",
}
#: What runs at partners, not on the platform.
ELSEWHERE = "client/"


def clients(path: Path) -> set[str]:
    """Means of connecting that a module has."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            # To the address of a socket; databases are connected to, too.
            to_socket = (
                name in ("connect", "connect_ex") and node.args and isinstance(node.args[0], ast.Tuple)
            )
            names = [name] if name in CALLS or to_socket else []
            found |= set(names)
            continue
        else:
            continue
        found |= {name for name in names if name in CLIENTS or name.partition(".")[0] in CLIENTS}
    return found


def test_only_listed_modules_connect_to_others():
    found = {}
    for path in SOURCE.rglob("*.py"):
        name = str(path.relative_to(SOURCE))
        if not name.startswith(ELSEWHERE) and (means := clients(path)):
            found[name] = means
    assert found.keys() == LISTED.keys(), found


def test_the_lint_sees_each_way(tmp_path):
    ways = (
        "import http.client", "from http import client", "from urllib import request", "import urllib.request as u",
        "import httpx", "from httpx import get", "import socket\nsocket.create_connection(x)", "s.connect((a, b))",
        "import asyncio\nasyncio.open_connection(a)", "def f():\n    import requests",
    )  # fmt: skip
    for number, text in enumerate(ways):
        path = tmp_path / f"{number}.py"
        path.write_text(text)
        assert clients(path), text
