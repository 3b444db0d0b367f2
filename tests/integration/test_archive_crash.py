"""A storing process is killed at random: what it acknowledged is there once, fsck is clean, orphans are repaired."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wardlight import bootstrap
from wardlight.archive import fsck_store, store
from wardlight.archive.fsck import Fsck
from wardlight.archive.keyring import release_key
from wardlight.archive.places import locations
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.settings import Settings

TESTS = Path(__file__).parents[1]

STORER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from archive_kit import REQUEST, dataset, incoming, part10
from wardlight import bootstrap
from wardlight.access.model import Principal, PrincipalKind
from wardlight.archive.model import Level
from wardlight.settings import Settings

platform = bootstrap.platform(Settings(data_dir=Path(sys.argv[2]), demo=True, completion_quiet_s=0))
institution = platform.identity.institution("stmary").id
actor = Principal(PrincipalKind.RECEIVER, "rc-1", institution)
run = int(sys.argv[3])
for number in range(1000):
    study = f"1.2.{run}.{number // 8}"
    ds = dataset(StudyInstanceUID=study, SeriesInstanceUID=study + ".1", SOPInstanceUID=f"{study}.1.{number}")
    target = platform.archive.target(institution, "images", Level.IDENTIFIED, study)
    writer = platform.archive.begin_segment(target)
    data = part10(ds)
    writer.write(data)
    item = incoming(data, 0)
    platform.archive.commit(target, writer, [item], actor=actor, request=REQUEST)
    print(item.sop_uid, flush=True)
    if number % 5 == 4:
        platform.archive.complete(bootstrap.WORKER)
"""


def run(folder, kills, seed):
    settings = Settings(data_dir=folder / "data", demo=True, completion_quiet_s=0)
    platform = bootstrap.platform(settings)
    platform.identity.create_institution("stmary", "St Mary", "eu", by=LOCAL_ADMINISTRATOR)
    chance = random.Random(seed)
    acknowledged = set()
    for number in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", STORER, str(TESTS), str(settings.data_dir), str(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = [process.stdout.readline()]
        time.sleep(chance.uniform(0.01, 0.4))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        lines += rest.splitlines(keepends=True)
        acknowledged.update(line.strip() for line in lines if line.endswith("\n") and line.strip())
    checker = Fsck(platform.database, platform.keystore, platform.objects, platform.recorder)
    report = checker.check(deep=True)
    assert report.clean, report.counts
    held = []
    with platform.database.read() as tx:
        for release in fsck_store.all_releases(tx):
            key = release_key(platform.keystore, release)
            rows = store.find_instances(tx, release.id)
            held += [place.sop_uid for place in locations(release, key, rows, "", None)]
    assert len(held) == len(set(held))
    assert acknowledged <= set(held) and len(acknowledged) >= kills
    checker.repair(report, LOCAL_ADMINISTRATOR)
    assert not {"orphan-object"} & set(checker.check().counts)
    platform.close()


@pytest.mark.long
def test_a_storing_process_is_killed_a_few_times(tmp_path):
    run(tmp_path, 3, seed=1)


@pytest.mark.long
def test_a_storing_process_is_killed_often(tmp_path):
    run(tmp_path, 60, seed=2)
