"""kill -9 at random under mixed load: each committed operation has its entry, each entry its operation.

Several writers and sealers, the web process with clients, and the worker, on one database. Afterwards roots equal a
rebuild, the signed heads are one chain, and what was rolled back left nothing.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

import audit_load
import live
import postgres
from wardlight import bootstrap
from wardlight.audit import sessions
from wardlight.settings import Settings

DATABASES = ("sqlite", "postgresql")


def run(
    folder: Path, database: str, kills: int, pause: float, kinds: list, monkeypatch: pytest.MonkeyPatch
) -> tuple[Counter[str], Counter[str]]:
    """Load, kill, look; returns the kills by kind and the operations found."""
    addresses = postgres.shared().migrated() if database == "postgresql" else None
    port = live.free_port()
    values, kit, token = audit_load.prepared(folder, addresses.serving if addresses else "", port)
    institution = str(kit.institution.id)
    kit.platform.close()
    crowd = audit_load.Crowd(values, institution, kinds)
    clients = [audit_load.Client(port, token) for _ in range(2 if audit_load.web in kinds else 0)]
    randomness = random.Random(kills)
    try:
        for client in clients:
            client.start()
        time.sleep(1.0)
        for _ in range(kills):
            time.sleep(randomness.uniform(0.2 * pause, 1.8 * pause))
            crowd.kill(randomness)
        time.sleep(1.0)
        for client in clients:
            client.stopping.set()
            client.join(30)
    finally:
        crowd.end()
    # Six minutes later: the worker ends the sessions of those who were killed.
    monkeypatch.setattr(sessions, "ORPHAN_MS", -1000)
    platform = bootstrap.platform(Settings(**values))
    try:
        while sessions.close_orphans(platform.database, platform.recorder):
            pass
        aftermath = audit_load.Aftermath(platform)
        aftermath.check_logs()
        found = aftermath.check_operations()
        acknowledged = [one for client in clients for one in client.acknowledged]
        aftermath.check_answers(acknowledged)
        found["acknowledged requests"] = len(acknowledged)
        found["entries"] = len(aftermath.entries)
    finally:
        platform.close()
        if addresses:
            postgres.shared().drop(addresses)
    print(database, dict(crowd.killed), dict(found))
    return crowd.killed, found


@pytest.mark.long  # `test_sealing_killed.py` has a short one among the fast tests.
@pytest.mark.parametrize("database", DATABASES)
def test_a_few_kills_of_writers_and_sealers(tmp_path, database, monkeypatch):
    kinds = [audit_load.write, audit_load.write, audit_load.seal, audit_load.seal]
    killed, found = run(tmp_path, database, 8, 0.15, kinds, monkeypatch)
    assert killed.total() == 8 and found["entries"] > 30


@pytest.mark.long
@pytest.mark.parametrize("database", DATABASES)
def test_a_hundred_kills_of_everything(tmp_path, database, monkeypatch):
    kinds = [
        audit_load.write, audit_load.write, audit_load.write, audit_load.seal, audit_load.seal,
        audit_load.web, audit_load.worker,
    ]  # fmt: skip
    killed, found = run(tmp_path, database, 120, 0.6, kinds, monkeypatch)
    assert killed.total() >= 100 and set(killed) == {kind.__name__ for kind in kinds}
    assert found["entries"] > 1000 and found["acknowledged requests"] > 50
    assert found["read sessions of killed processes"] > 0
