"""`wardlight admin audit-*`: keys, generations and retention of audit logs, each change in the log that it concerns."""

import json
import threading
import time

import pytest
from click.testing import CliRunner
from typer.main import get_command

from wardlight import bootstrap, processes
from wardlight.audit import log_store
from wardlight.audit.note import VerifierKey
from wardlight.cli.admin import app
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.settings import Settings


@pytest.fixture
def platform(tmp_path):
    built = bootstrap.platform(Settings(data_dir=tmp_path / "data", demo=True))
    built.identity.create_institution("stmary", "St. Mary", "eu", by=LOCAL_ADMINISTRATOR)
    built.sealer.seal()
    yield built
    built.close()


@pytest.fixture
def run(platform, tmp_path, monkeypatch):
    monkeypatch.setenv("WARDLIGHT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("WARDLIGHT_CONFIG", raising=False)
    command = get_command(app)

    def run(*arguments, error=None):
        result = CliRunner().invoke(command, list(arguments))
        if error:
            assert isinstance(result.exception, WardlightError) and result.exception.code == error
            return None
        assert result.exit_code == 0, result.output
        return result.output

    return run


def entries(platform, slug):
    institution = platform.identity.institution(slug).id if slug != "operator" else None
    for _ in range(2):
        platform.sealer.seal()
    head = platform.audit_log.logs(institution)[-1]
    return head, [json.loads(content) for _, content, _ in platform.audit_log.entries(head, 0, head.size)]


@pytest.mark.parametrize("log", ["stmary", "operator"])
def test_a_new_key_is_printed_and_announced(run, platform, log):
    printed = run("audit-rotate-key", log).strip()
    head, found = entries(platform, log)
    assert VerifierKey.parse(printed).name == head.origin
    assert (found[-1]["action"], found[-1]["detail"]) == ("audit:log:rotate_key", {"vkey": printed})


def test_a_log_that_has_not_stopped_is_continued_only_when_that_is_meant(run, platform):
    run("audit-continue", "stmary", error="conflict")
    origin, vkey = run("audit-continue", "stmary", "--anyway").split()
    head, found = entries(platform, "stmary")
    assert (head.origin, head.generation) == (origin, 2) and origin.endswith("/audit/stmary/2")
    assert found[0]["action"] == "audit:log:continue" and found[0]["detail"]["vkey"] == vkey


def test_a_stopped_log_is_continued(run, platform):
    institution = platform.identity.institution("stmary").id
    with platform.database.begin(EVERYWHERE) as tx:
        assert log_store.halt(tx, platform.audit_log.logs(institution)[-1].log, log_store.REFUSED)
    run("audit-rotate-key", "stmary", error="conflict")
    origin = run("audit-continue", "stmary").split()[0]
    head, found = entries(platform, "stmary")
    assert head.origin == origin and found[0]["detail"]["size"] == 2


def test_retention_is_shown_and_changed(run, platform):
    assert run("audit-retention", "stmary") == "3653 days\n"
    assert run("audit-retention", "stmary", "--days", "4000", "--hold") == "4000 days, on hold\n"
    assert run("audit-retention", "stmary", "--no-hold") == "4000 days\n"
    run("audit-retention", "stmary", "--days", "10", error="bad-request")
    _, found = entries(platform, "stmary")
    assert [one["change"] for one in found if one["action"] == "audit:retention:change"] == [
        [
            {"path": "days", "before": 3653, "after": 4000},
            {"path": "hold", "before": 0, "after": 1},
        ],
        [{"path": "hold", "before": 1, "after": 0}],
    ]


def test_the_worker_seals_within_a_second_whatever_else_it_does(platform):
    stopping = threading.Event()
    thread = threading.Thread(target=processes._seal, args=(platform, stopping))
    thread.start()
    try:
        for _ in range(2):
            platform.applications.register(f"a_b_{time.time_ns()}", "Name", "Vendor", by=LOCAL_ADMINISTRATOR)
            until = time.monotonic() + 5
            while pending(platform):
                assert time.monotonic() < until
                time.sleep(0.05)
    finally:
        stopping.set()
        thread.join()


def pending(platform):
    with platform.database.read(EVERYWHERE) as tx:
        return any(work.oldest is not None for work in log_store.overview(tx))
