"""What a thief of the index or the objects sees (security.md section 11, rows 5 and 7)."""

from base64 import b64encode
from uuid import UUID, uuid4

import pytest
from sqlalchemy import inspect, text

import postgres
import s3
from archive_kit import dataset
from wardlight.archive.keyring import ReleaseKey
from wardlight.archive.model import Level, MatchKey, Query
from wardlight.archive.postings_merge import Postings
from wardlight.archive.tables import instance, release, series
from wardlight.bootstrap import WORKER
from wardlight.db.engine import EVERYWHERE
from wardlight.db.schema import metadata
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.keys.attributes import RowLevel

VALUES = [
    "Müller-Lüdenscheidt",
    "Annegret-Wilhelmine",  # Long: four letters are found in a hundred megabytes of ciphertext by chance.
    "PAT-0042",
    "ACC-77",
    "19700203",
    "Thorax nativ",
    "Axial 1 mm",
    "1.2.3.4.1",
    "Canary Hospital",
]


def encodings(value):
    raw = value.encode()
    yield raw
    yield value.encode("latin-1")
    yield value.encode("utf-16-le")
    yield raw.hex().encode()
    yield b64encode(raw).rstrip(b"=")[:-1]


def test_stolen_database_and_objects_show_nothing(kit):
    name = "Müller-Lüdenscheidt^Annegret-Wilhelmine"
    kit.store(dataset(InstitutionName="Canary Hospital", PatientName=name))
    kit.archive.complete(WORKER)
    Postings(kit.platform.database, kit.platform.keystore).merge(kit.institution.id)
    kit.archive.instances(kit.retrieve, "1.2.3.4")
    kit.archive.search_studies(kit.query, Query(keys=(MatchKey((0x00100020,), "PAT-0042"),)))
    kit.platform.sessions.close()
    folders = [kit.folder / "index", kit.folder / "objects"]
    if kit.platform.database.dialect == "postgresql":
        folders = [*postgres.shared().files(), s3.shared().folder]
    stolen = [path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(stolen) >= 3
    for value in VALUES:
        for needle in encodings(value):
            assert not any(needle in content for content in stolen), value


def test_fifty_studies_of_one_patient_share_no_column_but_clear_ones(kit):
    for number in range(50):
        kit.store(dataset(StudyInstanceUID=f"1.2.{number}", SeriesInstanceUID=f"1.2.{number}.1"))
    kit.archive.complete(WORKER)
    Postings(kit.platform.database, kit.platform.keystore).merge(kit.institution.id)
    for column in ("label", "body"):
        values = [bytes(row[0]) for row in kit.sql(f"SELECT {column} FROM archive_posting")]
        assert len(values) > 50 and len(set(values)) == len(values)
    for table in (release, series, instance):
        for column in table.columns:
            if column.info["protection"] in ("none", "clear"):
                continue
            values = [row[0] for row in kit.sql(f'SELECT "{column.name}" FROM {table.name}')]
            if column.name == "origin" and set(values) == {None}:
                continue  # Only of what was made of another release; its own test looks at it.
            assert len(values) == 50 and len(set(values)) == 50, column.name
            # Padding hides how long names are, and nothing but the version byte begins alike.
            if column.info["protection"] == "sealed":
                assert all((len(value) - 1 - 12 - 16) % 128 == 0 for value in values)
                assert len({value[1:13] for value in values}) == 50


def test_the_same_bytes_in_two_releases_share_no_digest(kit):
    ds = dataset()
    kit.store(ds)
    kit.store(ds, application="acme")
    digests = {row[0] for row in kit.sql("SELECT digest FROM archive_instance")}
    assert len(digests) == 2


def test_the_same_uids_in_two_institutions_share_no_token(kit):
    other = kit.platform.identity.create_institution("other", "Other", "eu", by=LOCAL_ADMINISTRATOR)
    ds = dataset()
    kit.store(ds)
    kit.store(ds, institution=other)
    for table in ("archive_release", "archive_series", "archive_instance"):
        assert len({row[0] for row in kit.sql(f"SELECT token FROM {table}")}) == 2


def test_blobs_moved_between_rows_levels_institutions_are_refused(kit):
    kit.store(dataset(), dataset())
    target = kit.archive.target(kit.institution.id, "images", Level.IDENTIFIED, "1.2.3.4")
    key = ReleaseKey(target.key, kit.institution.id, target.release)
    (one, blob), (other, _) = kit.sql("SELECT id, sealed FROM archive_instance")
    one, other = UUID(bytes=one), UUID(bytes=other)
    assert key.unseal(RowLevel.INSTANCE, one, blob)
    for attempt in (
        lambda: key.unseal(RowLevel.INSTANCE, other, blob),
        lambda: key.unseal(RowLevel.SERIES, one, blob),
        lambda: ReleaseKey(target.key, uuid4(), target.release).unseal(RowLevel.INSTANCE, one, blob),
        lambda: ReleaseKey(target.key, kit.institution.id, uuid4()).unseal(RowLevel.INSTANCE, one, blob),
        lambda: ReleaseKey(bytes(32), kit.institution.id, target.release).unseal(
            RowLevel.INSTANCE, one, blob
        ),
    ):
        with pytest.raises(WardlightError) as error:
            attempt()
        assert error.value.code == "object-damaged"


def test_rows_of_another_schema_are_not_read(kit):
    kit.store(dataset())
    with kit.platform.database.begin(EVERYWHERE) as tx:
        tx.execute(text("UPDATE archive_release SET sealed_schema = 2"))
    with pytest.raises(WardlightError) as error:
        kit.archive.instances(kit.retrieve, "1.2.3.4")
    assert error.value.code == "unavailable"


def test_the_database_has_the_declared_tables_only(kit):
    with kit.platform.database.read(EVERYWHERE) as tx:
        assert set(inspect(tx).get_table_names()) == set(metadata.tables)
