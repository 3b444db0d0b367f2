"""A start loads what it needs and no more: each module here costs tenths of a second (start within 3 s)."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

# Process → what it imports to start → what must not have come along.
_STORES = {"obstore", "psycopg", "alembic", "sqlalchemy.dialects.postgresql"}
_DICOM = {"pydicom", "pynetdicom", "imagecodecs", "PIL"}
_WEB = {"fastapi", "uvicorn", "prometheus_client"}
STARTS = {
    "serve": (
        "wardlight.cli.serve, wardlight.installation",
        _STORES | _DICOM | _WEB | {"sqlalchemy", "numpy"},
    ),
    "web": (
        "wardlight.processes, wardlight.web.server, wardlight.ingest.service",
        _STORES | _DICOM | {"numpy"},
    ),
    "worker": ("wardlight.processes", _STORES | _DICOM | _WEB | {"numpy", "wardlight.deid.engine"}),
    "receiver": ("wardlight.receiver.process", _STORES | _DICOM | _WEB),
    "node": ("wardlight.receiver.node", _STORES | _DICOM | _WEB | {"numpy"}),
    "pipeline": ("wardlight.receiver.pipeline", _STORES | _DICOM | _WEB),
}
#: Never: what only helps people on a terminal, or tests.
NOWHERE = {"rich", "pytest", "hypothesis", "httpx", "IPython"}


@cache
def loaded(process: str) -> set[str]:
    program = f"import json, sys, {STARTS[process][0]}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("process", STARTS)
def test_a_start_does_not_load(process: str) -> None:
    assert (STARTS[process][1] | NOWHERE) & loaded(process) == set()


def test_the_rule_sees_what_is_loaded() -> None:
    assert {"sqlalchemy", "fastapi", "uvicorn", "wardlight.deid.profile"} <= loaded("web")
