"""The receiver's trail over kills: each entry it ever made is at the platform once, and its witness has no alarm."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest

import live
from fault.test_kill import kill_at_random


def echo(port: int, title: str, stop: threading.Event) -> None:
    """A C-ECHO after the other: each association is an entry."""
    while not stop.is_set():
        command = ["echoscu", "-to", "2", "-ta", "2", "-td", "2", "-aec", title, "127.0.0.1", str(port)]
        subprocess.run(command, capture_output=True, timeout=30, check=False)
        time.sleep(0.02)


def made(data: Path) -> int:
    """How many entries the receiver has made."""
    with sqlite3.connect(f"file:{data}/receiver/receiver.db?mode=ro", uri=True) as database:
        row = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit_pending'").fetchone()
    return int(row[0]) if row else 0


def recorded(data: Path) -> list[str]:
    """Ids of receivers' entries in the platform's logs."""
    with sqlite3.connect(f"file:{data}/index/index.db?mode=ro", uri=True) as database:
        rows = database.execute("SELECT content FROM audit_entry UNION ALL SELECT content FROM audit_pending")
        found = [json.loads(content) for (content,) in rows]
    return [entry["id"] for entry in found if entry["source"] == "receiver"]


@pytest.mark.long
@pytest.mark.system
def test_kills_lose_and_double_no_entry(tmp_path: Path) -> None:
    with live.installation(tmp_path) as wardlight:
        stop = threading.Event()
        titles = random.Random(7).choices([*wardlight.ae_titles.values(), "NOBODY"], k=3)
        peers = [
            threading.Thread(target=echo, args=(wardlight.dicom_port, title, stop), daemon=True)
            for title in titles
        ]
        for peer in peers:
            peer.start()
        killed = kill_at_random(wardlight, ["pipeline", "web", "worker"], 12, 7)
        stop.set()
        for peer in peers:
            peer.join(60)
        assert min(killed.values()) >= 8

        def settled() -> bool:
            status = wardlight.receiver_status()
            return bool(
                status["audit_pending"] == 0 and len(recorded(wardlight.data)) >= made(wardlight.data)
            )

        live.wait_until(settled, 120, "all entries at the platform")
        ids = recorded(wardlight.data)
        assert len(ids) == len(set(ids)) == made(wardlight.data) > 100
        status = wardlight.receiver_status()
        assert status["audit"]["refused"] == 0
        (log,) = status["witness"]["logs"]
        assert log["alarm"] is None and log["cosigned"]["size"] > 0
