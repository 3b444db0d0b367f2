"""Sealing on PostgreSQL, where many transactions run at once: who waits for whom, and who sees what."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

import platform_kit
from audit_kit import LOGIN, Bench
from platform_kit import a_platform
from wardlight.audit import log_store
from wardlight.audit.sealer import Sealer
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.service import LOCAL_ADMINISTRATOR


@pytest.fixture
def bench():
    platform_kit.chosen = platform_kit.STORES[1]
    with a_platform(public_url="https://wardlight.example") as platform:
        yield Bench(platform)
    platform_kit.chosen = platform_kit.STORES[0]


def test_a_writer_with_an_open_transaction_keeps_no_sealer_out(bench):
    """Its pending row holds the key of the log's row; it commits late and comes after what was sealed meanwhile."""
    bench.sealer.seal()
    with bench.database.begin(bench.institution) as tx:
        late = bench.recorder.write(tx, bench.institution, LOGIN)
        bench.write()
        bench.sealer.seal()
        assert bench.head.size == 3
    bench.sealer.seal()
    assert bench.entries()[-1]["id"] == str(late)
    bench.check()


def test_a_second_sealer_goes_on_with_other_logs(bench):
    """It skips a log that is being sealed, and does not wait for it."""
    other = bench.platform.identity.create_institution("other", "Other", "eu", by=LOCAL_ADMINISTRATOR).id
    bench.sealer.seal()
    bench.write()
    bench.write(institution=other)
    with bench.database.begin(EVERYWHERE) as tx:
        assert log_store.lock(tx, bench.head.log)
        second = threading.Thread(target=Sealer(bench.database, bench.recorder, bench.platform.signer).seal)
        second.start()
        second.join(10)
        assert not second.is_alive()
        assert bench.head.size == 2
        assert bench.platform.audit_log.logs(other)[-1].size == 3
    bench.sealer.seal()
    assert bench.head.size == 3


def test_the_log_of_one_institution_is_not_seen_by_another(bench):
    other = bench.platform.identity.create_institution("other", "Other", "eu", by=LOCAL_ADMINISTRATOR).id
    bench.platform.retention.change(bench.institution, by=LOCAL_ADMINISTRATOR, days=500)
    bench.sealer.seal()
    tables = ("log", "entry", "tile", "checkpoint", "day", "retention")
    for table in tables:
        query = text(
            f"SELECT count(*) FROM audit_{table}"
            + (f" WHERE log = {bench.head.log}" if table != "retention" else "")
        )
        for institution, seen in ((bench.institution, True), (other, False), (None, False)):
            with bench.database.read(institution) as tx:
                assert bool(tx.execute(query).scalar()) is seen, table
