"""A generated index is one that the product itself could have made."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import index_generator

from archive_kit import REQUEST
from wardlight import bootstrap
from wardlight.archive import fsck_postings
from wardlight.archive.model import MatchKey, Query
from wardlight.audit.actions import Action
from wardlight.identity.model import Principal, PrincipalKind, Role, TokenScope
from wardlight.settings import Settings


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> bootstrap.Platform:
    folder: Path = tmp_path_factory.mktemp("generated") / "data"
    index_generator.generate(folder, 2000, seed=3)
    platform = bootstrap.platform(Settings(data_dir=folder, demo=True))
    yield platform
    platform.close()


def search(platform, find, **values):
    institution = platform.identity.institutions()[0].id
    principal = Principal(
        PrincipalKind.PERSON, "u-1", institution, Role.ADMINISTRATOR, frozenset(TokenScope), "t"
    )
    scope = platform.access.scope_for(principal, Action.DICOMWEB_STUDY_QUERY, request=REQUEST, address="")
    return getattr(platform.archive, find)(scope, Query(**values)).rows


def test_every_study_is_found_by_its_name_and_identifier(generated):
    studies = search(generated, "search_studies")
    assert len(studies) == 20
    dates = [row["00080020"]["Value"][0] for row in studies]
    assert dates == sorted(dates, reverse=True) and len(set(dates)) == 20
    for row in studies:
        for tag in (0x00100010, 0x00100020, 0x00080050):
            value = row[f"{tag:08X}"]["Value"][0]
            key = MatchKey((tag,), value["Alphabetic"] if isinstance(value, dict) else value)
            found = search(generated, "search_studies", keys=(key,))
            assert row["0020000D"]["Value"][0] in [one["0020000D"]["Value"][0] for one in found]


def test_counts_are_those_of_the_rows(generated):
    for row in search(generated, "search_studies", limit=3):
        uid = row["0020000D"]["Value"][0]
        assert len(search(generated, "search_series", study_uid=uid)) == row["00201206"]["Value"][0]
        assert len(search(generated, "search_instances", study_uid=uid)) == row["00201208"]["Value"][0]


def test_postings_and_indexes_are_the_products_own(generated):
    institution = generated.identity.institutions()[0].id
    with generated.database.read(institution) as tx:
        assert fsck_postings.agree(tx, generated.keystore, institution)
        names = {
            name
            for (name,) in tx.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index'")
            if not name.startswith("sqlite_autoindex")
        }
        assert {index.name for table in index_generator._TABLES for index in table.indexes} <= names
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
