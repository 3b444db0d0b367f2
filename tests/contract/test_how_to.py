"""docs/how-to/postgresql-and-s3.md word by word on a PostgreSQL and a bucket, and images all the way through both."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

import live
import postgres
import s3

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "how-to" / "postgresql-and-s3.md").read_text("utf-8")
CT = Path(get_testdata_file("CT_small.dcm"))
# Tests of one machine have no certificates; a socket and loopback need none.
URL = re.compile(r"postgresql://(\w+)@db\.example:5432/wardlight\?sslmode=verify-full")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Steps 1 to 4 of the page; yields the environment of the commands of step 5."""
    folder = tmp_path_factory.mktemp("page")
    with postgres.server() as database:
        first, second = blocks("sql")
        for statement in first.strip().split(";\n"):
            database.run(statement.rstrip(";"))
        database.run(*second.strip().split(";\n"), database="wardlight")
        server = s3.shared()
        credentials = folder / "s3-credentials"
        credentials.write_text(
            blocks("ini")[0].replace("AKIA-CHANGE-ME", s3.ACCESS).replace("change-me-3", s3.SECRET)
        )
        bucket = server.bucket(versions=True)
        settings = blocks("toml")[0]
        for old, new in (
            ('endpoint = "https://s3.example"', f'endpoint = "{server.endpoint}"'),
            ("eu-central-1", s3.REGION),
            ("/etc/wardlight/s3-credentials", str(credentials)),
            ("wardlight-images", bucket),
        ):
            assert old in settings
            settings = settings.replace(old, new)
        settings = URL.sub(lambda found: database.address("wardlight", found[1]), settings)
        head = (
            f'data_dir = "{folder}/data"\nkeyslot_dirs = ["{folder}/a", "{folder}/b"]\nallow_plain_root = true\n'
            f'receiver_secrets_dir = "{folder}/secrets"\nallow_unsandboxed_decoders = true\n'
        )
        (folder / "wardlight.toml").write_text(head + settings)
        environment = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("WARDLIGHT", "AWS"))
            },
            "WARDLIGHT_CONFIG": str(folder / "wardlight.toml"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        refused = shell("wardlight web", environment, check=False)
        assert refused.returncode == 1 and "run `wardlight migrate`" in refused.stderr
        migrate = URL.sub(lambda found: database.address("wardlight", found[1]), blocks("bash")[0])
        assert "schema version" in shell(migrate, environment).stdout
        yield environment


def shell(
    command: str, environment: dict[str, str], *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", "-euc", command], env=environment, capture_output=True, text=True, timeout=120
    )
    assert not check or done.returncode == 0, done.stderr + done.stdout
    return done


def test_the_pages_commands(made: dict[str, str]) -> None:
    done = shell(blocks("bash")[1], made)
    assert done.stdout.rstrip().endswith("clean") and "NOT CLEAN" not in done.stdout


def test_web_is_ready_with_database_bucket_and_keys(made: dict[str, str]) -> None:
    port = live.free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "wardlight", "web"],
        env={**made, "WARDLIGHT_WEB__PORT": str(port)},
        stderr=subprocess.DEVNULL,
    )

    def ready() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    try:
        live.wait_until(lambda: ready() == 200, 60, "readiness")
    finally:
        process.terminate()
        process.wait(30)


def test_a_superuser_does_not_serve(made: dict[str, str]) -> None:
    url = Path(made["WARDLIGHT_CONFIG"]).read_text().split('database_url = "')[1].split('"')[0]
    superuser = url.replace("wardlight@", "postgres@", 1)
    done = shell("wardlight web", {**made, "WARDLIGHT_DATABASE_URL": superuser}, check=False)
    assert done.returncode == 1 and "row-level security" in done.stderr


# --- images: DICOM node → spool → upload → PostgreSQL and S3 → DICOMweb → fsck ---


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Installation]:
    folder = tmp_path_factory.mktemp("both")
    database, server = postgres.shared().migrated(), s3.shared()
    environment = {
        "WARDLIGHT_DATABASE_URL": database.serving,
        "WARDLIGHT_OBJECTS_URL": f"s3://{server.bucket()}/live",
        "WARDLIGHT_S3__ENDPOINT": server.endpoint,
        **s3.ENVIRONMENT,
    }
    with live.installation(folder, environment=environment) as started:
        started.stores = environment  # type: ignore[attr-defined]
        yield started
    postgres.shared().drop(database)


def test_images_sent_by_dicom_come_back_by_dicomweb(running: live.Installation) -> None:
    sent = pydicom.dcmread(CT)
    entity = AE()
    entity.add_requested_context(CTImageStorage, sent.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", running.dicom_port, ae_title=running.ae_titles["identified"])
    assert association.is_established
    assert association.send_c_store(sent).Status == 0
    association.release()
    live.wait_until(lambda: running.count() == 1, 60, "the instance")
    study, series, instance = sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID
    (found,) = running.search(f"/studies?PatientID={sent.PatientID}")
    assert found["0020000D"]["Value"] == [study]
    place = f"/studies/{study}/series/{series}/instances/{instance}"
    back = running.get(place, 'multipart/related; type="application/dicom"')
    assert sent.PixelData in back
    frame = running.get(place + "/frames/1", 'multipart/related; type="application/octet-stream"')
    assert sent.PixelData in frame
    (described,) = json.loads(running.get(f"/studies/{study}/metadata"))
    assert described["00080018"]["Value"] == [instance]


def test_images_stored_by_dicomweb_come_back_too(running: live.Installation) -> None:
    before = running.count()
    dataset = pydicom.dcmread(get_testdata_file("MR_small.dcm"))
    request = urllib.request.Request(
        running.dicomweb + "/studies",
        data=Path(get_testdata_file("MR_small.dcm")).read_bytes(),
        headers={"Authorization": f"Bearer {running.token()}", "Content-Type": "application/dicom"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200
    assert running.count() == before + 1
    assert running.search(f"/studies?StudyInstanceUID={dataset.StudyInstanceUID}")


def test_fsck_proves_that_database_bucket_and_keys_fit(running: live.Installation) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wardlight", "fsck", "--deep", "--json"],
        env={**os.environ, **running.environment(), **running.stores},  # type: ignore[attr-defined]
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["clean"] and report["instances"] == running.count() >= 2
    assert not (running.data / "objects").exists() and not (running.data / "index").exists()
    with psycopg.connect(running.stores["WARDLIGHT_DATABASE_URL"]) as connection:  # type: ignore[attr-defined]
        # Without a name of an institution there is nothing to see.
        assert connection.execute("SELECT count(*) FROM archive_release").fetchone() == (0,)
