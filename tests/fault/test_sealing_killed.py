"""Writers and sealers killed at random: what was committed is in the log once, nothing else is, and it is one log."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import platform_kit
from audit_kit import Bench
from platform_kit import a_platform
from wardlight.audit.fsck import AuditFsck

SCRIPT = Path(__file__).parent.parent / "sealing_children.py"


#: Several nodes that commit and seal are on PostgreSQL alone; the embedded database has the long run.
@pytest.mark.parametrize(
    ("stores", "seconds"),
    [
        (platform_kit.STORES[1], 2.5),
        *(pytest.param(which, 30, marks=pytest.mark.long) for which in platform_kit.STORES),
    ],
    indirect=["stores"],
    scope="module",
)
def test_each_committed_entry_is_sealed_once(stores, seconds):
    with a_platform(public_url="https://wardlight.example") as platform:
        bench = Bench(platform)
        done = subprocess.run(
            [sys.executable, SCRIPT, platform.settings.model_dump_json(), str(seconds)],
            capture_output=True,
            text=True,
            timeout=60 + seconds,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        told = json.loads(done.stdout)
        assert told["kills"] > 5 and len(told["done"]) > 50 and told["undone"]
        while bench.sealer.seal():
            pass
        assert bench.rows("SELECT count(*) FROM audit_pending") == [(0,)]
        assert not bench.head.halted
        sealed = [one["id"] for one in bench.entries() if one["action"] == "identity:session:login"]
        assert len(sealed) == len(set(sealed))
        assert set(told["done"]) <= set(sealed)
        # A writer may be killed between its commit and the line that tells of it, never the other way round.
        assert len(set(sealed) - set(told["done"])) <= told["kills"]
        assert not set(told["undone"]) & set(sealed)
        bench.check()
        assert AuditFsck(platform.database, platform.signer).check() == []
        print(f"{len(sealed)} entries, {told['kills']} kills")
