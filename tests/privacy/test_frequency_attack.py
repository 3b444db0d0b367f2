"""Security test 6: the frequency attack of the security architecture on a stolen index, with the true name list.

The thief holds every row of the index and knows how often each name occurs. Whatever is equal in two rows makes groups
of studies; the largest group gets the most frequent name, and so on. Naming everybody by the most frequent name is
guessing, and the attack must not do better. It is shown to work on columns that were rejected.
"""

import hashlib
import hmac
import random
import sqlite3
from collections import Counter, defaultdict

import pytest
from bench.people import COMMON

from archive_kit import Kit, dataset
from platform_kit import a_platform
from wardlight.archive import names
from wardlight.archive.postings_merge import Postings
from wardlight.archive.tables import instance, release, search_state, series, tail

STUDIES = 150
MERGED = 120


@pytest.fixture(scope="module")
def stolen():
    """(rows of the index by table, family name by study UID, names by frequency)"""
    chosen, everyone = random.Random(8), [name for name, _ in COMMON[:20]]
    families = {}
    with a_platform() as platform:
        kit = Kit(platform, platform.settings.data_dir)
        merger = Postings(platform.database, platform.keystore)
        for number in range(STUDIES):
            uid = f"1.2.{number}"
            (name,) = chosen.choices(everyone, [1 / rank for rank in range(1, 21)])
            families[uid] = name
            kit.store(
                dataset(
                    StudyInstanceUID=uid,
                    SeriesInstanceUID=f"{uid}.1",
                    PatientName=f"{name}^Kim",
                    PatientID=f"P-{number}",
                )
            )
            if number == MERGED - 1:
                merger.merge(kit.institution.id)
        platform.database.close()
        with sqlite3.connect(platform.settings.index_path) as copy:
            copy.row_factory = sqlite3.Row
            tables = [name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {table: [dict(row) for row in copy.execute(f"SELECT * FROM {table}")] for table in tables}
        counts = Counter(families.values())
        order = sorted(counts, key=lambda name: (-counts[name], name))
        yield rows, families, order


def attack(values, families, order):
    """The share of studies whose name is found from values of which equal ones mean equal names, by frequency."""
    groups = defaultdict(list)
    for study, value in values:
        groups[value].append(study)
    # The thief knows no more of groups of one size than what they look like.
    ranked = [groups[value] for value in sorted(groups, key=lambda value: (-len(groups[value]), repr(value)))]
    named = {study: order[min(rank, len(order) - 1)] for rank, group in enumerate(ranked) for study in group}
    return sum(families[study] == name for study, name in named.items()) / len(families)


def guess(families):
    return Counter(families.values()).most_common(1)[0][1] / len(families)


def test_the_attack_works_on_columns_that_were_rejected(stolen):
    _, families, order = stolen

    def hashed(text):
        return hmac.digest(b"key", text.encode(), hashlib.sha256)

    exact = attack([(uid, hashed(name)) for uid, name in families.items()], families, order)
    assert exact > 2 * guess(families)


def test_no_column_of_the_stolen_index_names_anybody(stolen):
    rows, families, order = stolen
    study_of = dict(zip((row["id"] for row in rows["archive_release"]), families, strict=True))
    tables = {table.name: table for table in (release, series, instance, tail, search_state)}
    tried = 0
    for name, table in tables.items():
        for column in table.columns:
            if column.info["protection"] in ("none", "clear"):
                continue
            held = [
                (study_of[row["id"] if name == "archive_release" else row["release"]], row[column.name])
                for row in rows[name]
            ]
            if all(value is None for _, value in held):
                continue  # Nothing of it is there.
            # Every value is another one: the thief has nothing to rank, and names by chance.
            assert len({value for _, value in held}) == len(held), column
            tried += 1
            assert attack(held, families, order) <= guess(families), column
    assert tried >= 8
    # What stands in clear, together, does not tell names either: all studies of a day are alike here.
    clear = [(study_of[row["id"]], (row["study_date"], row["modalities"])) for row in rows["archive_release"]]
    assert attack(clear, families, order) <= guess(families)


def test_postings_lead_to_no_study_and_show_no_frequency(stolen):
    rows, families, _ = stolen
    postings = rows["archive_posting"]
    assert len(postings) > MERGED
    assert len({row["label"] for row in postings}) == len({row["body"] for row in postings}) == len(postings)
    sizes = Counter(len(row["body"]) for row in postings)
    assert set(sizes) <= {78, 222, 798}
    # The blocks of the most common name lie under labels of their own: none says that another belongs to it.
    common = Counter(families.values()).most_common(1)[0]
    assert common[1] > 1
    everything = b"".join(row["label"] + row["body"] for row in postings)
    for row in rows["archive_release"]:
        for value in (row["id"], row["token"], row["key_id"], row["number"].to_bytes(8, "big")):
            assert value not in everything
    for name in families.values():
        for form in (
            name,
            name.casefold(),
            *names.prefixes(name.casefold()),
            *names.phonetic(name.casefold()),
        ):
            if len(form) > 3:
                assert form.encode() not in everything
    # By label, and no row tells when it came: neighbours are strangers.
    assert [row["label"] for row in postings] == sorted(row["label"] for row in postings)


def test_the_tail_tells_no_more_than_that_a_study_is_new(stolen):
    rows, _, _ = stolen
    assert len(rows["archive_tail"]) == STUDIES - MERGED
    assert set(rows["archive_tail"][0]) == {"release", "institution", "series_only"}
    assert {row["series_only"] for row in rows["archive_tail"]} == {0}
