"""Sealed postings: the tail, merging, blocks of three sizes, removal, new generations, and fsck of all that."""

import random
from uuid import UUID

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from sqlalchemy import text

from archive_kit import dataset
from wardlight.archive import postings_merge, postings_store, search, store
from wardlight.archive.fsck import Fsck
from wardlight.archive.keyring import posting_keys
from wardlight.archive.model import MatchKey, Query
from wardlight.archive.postings_blocks import Chains
from wardlight.archive.postings_merge import Postings
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.keys.postings import PostingKeys, capacity, entry, entry_values

NAME, ID = 0x00100010, 0x00100020
BIK = bytes(range(0x40, 0x60))


@pytest.fixture
def merger(kit):
    return Postings(kit.platform.database, kit.platform.keystore)


def found(kit, value, tag=NAME, **options):
    page = kit.archive.search_studies(kit.query, Query(keys=(MatchKey((tag,), value),), **options))
    return sorted(row["0020000D"]["Value"][0] for row in page.rows)


def tail_size(kit):
    with kit.platform.database.read(kit.institution.id) as tx:
        return postings_store.tail_size(tx, kit.institution.id)


def blocks(kit, generation=1):
    with kit.platform.database.read(kit.institution.id) as tx:
        return list(postings_store.every_block(tx, kit.institution.id, generation))


def release(kit, study_uid):
    from wardlight.archive.keyring import Tokens

    token = Tokens(kit.platform.keystore, kit.institution.id).study(study_uid)
    with kit.platform.database.read(kit.institution.id) as tx:
        return store.find_release(tx, kit.institution.id, token)


def checked(kit):
    platform = kit.platform
    checker = Fsck(platform.database, platform.keystore, platform.objects, platform.recorder)
    return checker, checker.check(deep=True)


@pytest.fixture
def people(kit):
    """Seven studies of four people."""
    names = [
        "Smith^John",
        "Smith^Anna",
        "Smythe^Bo",
        "Yamada^Tarou=山田^太郎",
        "Smith^John",
        "Jones^Bo",
        "Smith^John",
    ]
    for number, name in enumerate(names):
        kit.store(
            dataset(StudyInstanceUID=f"1.{number}", PatientName=name, PatientID=f"P-{name[:5]}-{number % 2}")
        )
    return kit


# ---- blocks ----


def test_three_sizes_and_what_an_entry_is():
    keys = PostingKeys(BIK, 1)
    assert keys.labels(3, b"smi", range(1))[0].hex() == "a512ce775fcb0bf73c47b3ef437da01e"
    label = bytes(16)
    sizes = [len(keys.seal(label, number, [entry(1, 2)])) for number in range(5)]
    assert sizes == [78, 222, 798, 798, 798]
    for number in range(4):
        full = [entry(day, day * 7) for day in range(capacity(number))]
        body = keys.seal(label, number, full)
        assert len(body) == sizes[number] and keys.open(label, body) == full
        assert keys.seal(label, number, full) != body
        with pytest.raises(ValueError, match="more entries"):
            keys.seal(label, number, [*full, entry(0, 0)])
    assert entry_values(entry(46022, 2**63 - 1)) == (46022, 2**63 - 1)
    assert sorted([entry(2, 1), entry(1, 9), entry(1, 2**40)]) == [entry(1, 9), entry(1, 2**40), entry(2, 1)]


def test_a_block_opens_in_its_row_and_generation_only():
    keys, label = PostingKeys(BIK, 1), bytes(16)
    body = keys.seal(label, 0, [entry(1, 2)])
    for other, place, content in (
        (keys, bytes(15) + b"\x01", body),
        (PostingKeys(BIK, 2), label, body),
        (PostingKeys(bytes(32), 1), label, body),
        (keys, label, body[:-1]),
        (keys, label, b""),
        (keys, label, bytes(12) + body[12:]),
    ):
        with pytest.raises(WardlightError) as error:
            other.open(place, content)
        assert error.value.code == "object-damaged"


def test_chains_hold_what_was_put_into_them(kit):
    """Random additions and removals against a model."""
    chosen, place = random.Random(5), kit.institution.id
    keys = posting_keys(kit.platform.keystore, place, 1)
    model = {(1, b"a"): set(), (1, b"b"): set(), (2, b"a"): set(), (3, b"long"): set()}
    number = 0
    for _ in range(30):
        additions = {}
        for token in chosen.sample(list(model), 2):
            count = chosen.choice((1, 2, 5, 40))
            additions[token] = [entry(chosen.randrange(5), number + one) for one in range(count)]
            number += count
            model[token].update(additions[token])
        gone = b""
        with kit.platform.database.begin(place) as tx:
            chains = Chains(tx, place, 1, keys)
            chosen.choice((chains.append, chains.append_missing))(additions)
            chains.write()
            token = chosen.choice(list(model))
            if model[token]:
                gone = chosen.choice(sorted(model[token]))
                chains.remove([token], gone)
                chains.write()
                model[token].discard(gone)
            chains.append_missing(
                {token: entries for token, entries in additions.items() if gone not in entries}
            )
            chains.write()
    with kit.platform.database.read(place) as tx:
        assert Chains(tx, place, 1, keys).entries(model) == model
        read = Chains(tx, place, 1, keys).read(model)
    for chain in read.values():
        assert [block.number for block in chain] == list(range(len(chain)))
        assert sum(len(block.entries) for block in chain) == len(
            {e for block in chain for e in block.entries}
        )
    assert {len(body) for _, body in blocks(kit)} == {78, 222, 798}


# ---- tail and merge ----


@pytest.mark.parametrize("merged", [False, True])
def test_searches_find_the_same_before_and_after_merging(people, merger, merged):
    if merged:
        assert merger.merge(people.institution.id) == 7
        assert tail_size(people) == 0
    assert found(people, "smith*") == ["1.0", "1.1", "1.4", "1.6"]
    assert found(people, "SMITH^JOHN") == ["1.0", "1.4", "1.6"]
    assert found(people, "sm?th*") == ["1.0", "1.1", "1.2", "1.4", "1.6"]
    assert found(people, "*^bo") == ["1.2", "1.5"]
    assert found(people, "山田*") == ["1.3"]
    assert found(people, "Yamada^Tarou=山田^太郎") == ["1.3"]
    assert found(people, "Yamada^Tarou=山本^太郎") == []
    assert found(people, "P-Smith-0", ID) == ["1.0", "1.4", "1.6"] and found(people, "p-smith-0", ID) == []
    assert found(people, "P-Smi*", ID) == ["1.0", "1.1", "1.4", "1.6"]
    assert checked(people)[1].clean


def test_merged_studies_are_not_opened_for_a_search_of_others(people, merger, monkeypatch):
    merger.merge(people.institution.id)
    opened = []
    from wardlight.archive.keyring import ReleaseKey

    unseal = ReleaseKey.unseal_study
    monkeypatch.setattr(
        ReleaseKey, "unseal_study", lambda self, row: opened.append(row.id) or unseal(self, row)
    )
    assert found(people, "yamada*") == ["1.3"] and len(opened) == 1
    assert found(people, "nobody*") == [] and len(opened) == 1


def test_the_worker_merges_many_or_what_is_quiet(people, merger, monkeypatch):
    assert merger.work() == 0 and tail_size(people) == 7
    monkeypatch.setattr(postings_merge, "_WORTH", 7)
    assert merger.work() == 7
    people.store(dataset(StudyInstanceUID="2.1"))
    assert merger.work() == 0
    monkeypatch.setattr(postings_merge, "_QUIET_MS", -1)
    assert people.archive.index(None) == 1 and tail_size(people) == 0


def test_the_writer_merges_where_the_tail_is_full(kit, monkeypatch):
    monkeypatch.setattr(postings_merge, "TAIL_LIMIT", 3)
    for number in range(3):
        kit.store(dataset(StudyInstanceUID=f"1.{number}"))
        assert tail_size(kit) == (number + 1) % 3
    assert found(kit, "müller*") == ["1.0", "1.1", "1.2"]


def test_a_series_that_comes_later_brings_its_tokens(kit, merger):
    kit.store(dataset(SeriesInstanceUID="1.2.3.4.1"))
    merger.merge(kit.institution.id)
    for number in (2, 3):
        request = Dataset()
        request.RequestedProcedureID = "RP-1"
        request.ScheduledProcedureStepID = f"SPS-{number}"
        sequence = Sequence([request])
        kit.store(dataset(SeriesInstanceUID=f"1.2.3.4.{number}", RequestAttributesSequence=sequence))
        assert tail_size(kit) == 1

        def series(member, value):
            query = Query(keys=(MatchKey((0x00400275, member), value),))
            return len(kit.archive.search_series(kit.query, query).rows)

        for _ in range(2):
            assert series(0x00401001, "RP-1") == number - 1 and series(0x00400009, f"SPS-{number}") == 1
            assert checked(kit)[1].clean
            merger.merge(kit.institution.id)
        assert tail_size(kit) == 0
    assert found(kit, "müller*") == ["1.2.3.4"]


def test_a_release_that_does_not_open_leaves_the_tail_and_holds_up_nothing(people, merger):
    row = release(people, "1.3")
    people.platform.keystore.destroy_key(people.institution.id, row.key_id)
    assert merger.merge(people.institution.id) == 7
    assert found(people, "smith*") == ["1.0", "1.1", "1.4", "1.6"]


# ---- removal, generations, fsck ----


def test_a_removed_release_is_in_no_posting(people, merger):
    merger.merge(people.institution.id)
    before = blocks(people)
    merger.remove(people.institution.id, release(people, "1.4"))
    assert found(people, "smith^john") == ["1.0", "1.6"]
    assert {label for label, _ in blocks(people)} == {label for label, _ in before}
    assert {len(body) for _, body in blocks(people)} <= {78, 222, 798}
    keys = posting_keys(people.platform.keystore, people.institution.id, 1)
    number = release(people, "1.4").number
    assert all(
        entry_values(one)[1] != number for label, body in blocks(people) for one in keys.open(label, body)
    )
    # fsck sees that the release, which is still there, cannot be found.
    assert checked(people)[1].counts["wrong-postings"] == 1
    with pytest.raises(WardlightError) as error:
        row = release(people, "1.0")
        people.platform.keystore.destroy_key(people.institution.id, row.key_id)
        merger.remove(people.institution.id, row)
    assert error.value.code == "key-destroyed"


def test_a_new_generation_is_built_while_searches_go_on(people, merger, monkeypatch):
    monkeypatch.setattr(postings_merge, "BATCH", 3)
    place = people.institution.id
    while merger.merge(place):
        pass
    old = {label for label, _ in blocks(people)}
    merger.rekey(place)
    people.store(dataset(StudyInstanceUID="2.1", PatientName="Smith^New"))
    expected = ["1.0", "1.1", "1.4", "1.6", "2.1"]
    steps = 0
    while True:
        assert found(people, "smith*") == expected
        assert checked(people)[1].clean
        if not merger.build(place):
            break
        if steps == 1:
            merger.merge(place)
            merger.remove(place, release(people, "1.1"))
            expected.remove("1.1")
            with people.platform.database.begin(place) as tx:
                tx.execute(text("UPDATE archive_release SET instance_count = 0, series_count = 0 WHERE id = :id"),
                           {"id": release(people, "1.1").id.bytes})  # fmt: skip
            break
        steps += 1
    while merger.build(place):
        pass
    assert found(people, "smith*") == expected
    with people.platform.database.read(place) as tx:
        assert postings_store.state(tx, place) == postings_store.State(2, 0, 0)
    assert blocks(people) == [] and not old & {label for label, _ in blocks(people, 2)}


@pytest.mark.parametrize("damage", ["lost", "moved", "stray", "altered"])
def test_fsck_finds_wrong_postings_and_makes_them_anew(people, merger, damage):
    place = people.institution.id
    merger.merge(place)
    assert checked(people)[1].clean
    rows = blocks(people)
    keys = posting_keys(people.platform.keystore, place, 1)
    with people.platform.database.begin(place) as tx:
        if damage == "lost":
            postings_store.drop_generation(tx, place, 1)
        elif damage == "moved":
            postings_store.put_blocks(tx, place, 1, [(rows[0][0], rows[1][1])])
        elif damage == "altered":
            postings_store.put_blocks(tx, place, 1, [(rows[0][0], rows[0][1][:-1] + b"\x00")])
        else:
            chains = Chains(tx, place, 1, keys)
            chains.append({(3, b"smi"): [entry(1, 1)]})
            chains.write()
    checker, report = checked(people)
    assert report.findings == [("wrong-postings", place)] and not report.clean
    assert checker.repair(report, LOCAL_ADMINISTRATOR) == 1
    assert checked(people)[1].clean
    assert found(people, "smith*") == ["1.0", "1.1", "1.4", "1.6"]


def test_institutions_share_no_label(kit, merger):
    other = kit.platform.identity.create_institution("other", "Other", "eu", by=LOCAL_ADMINISTRATOR)
    labels = []
    for institution in (kit.institution, other):
        kit.store(dataset(), institution=institution)
        merger.merge(institution.id)
        with kit.platform.database.read(institution.id) as tx:
            labels.append({label for label, _ in postings_store.every_block(tx, institution.id, 1)})
    assert len(labels[0]) == len(labels[1]) and not labels[0] & labels[1]
    assert isinstance(other.id, UUID)


# ---- what must not follow from damage, or from a long tail ----


def spoil(kit, institution):
    """Alter a byte of every block of an institution."""
    with kit.platform.database.begin(institution) as tx:
        rows = [
            (label, body[:-1] + bytes([body[-1] ^ 1]))
            for label, body in postings_store.every_block(tx, institution, 1)
        ]
        postings_store.put_blocks(tx, institution, 1, rows)


def test_stored_is_answered_although_the_merge_after_it_fails(kit, merger, monkeypatch):
    kit.store(dataset(StudyInstanceUID="1.0"))
    merger.merge(kit.institution.id)
    spoil(kit, kit.institution.id)
    monkeypatch.setattr(postings_merge, "TAIL_LIMIT", 1)
    assert kit.store(dataset(StudyInstanceUID="1.1")) == ["stored"]
    assert tail_size(kit) == 1


def test_damaged_postings_of_one_institution_hold_up_no_other_s(kit, merger, monkeypatch):
    other = kit.platform.identity.create_institution("other", "Other", "eu", by=LOCAL_ADMINISTRATOR)
    monkeypatch.setattr(postings_merge, "_WORTH", 1)
    for institution in (kit.institution, other):
        kit.store(dataset(StudyInstanceUID="1.0"), institution=institution)
    assert merger.work() == 2
    for damaged in (kit.institution, other):
        spoil(kit, damaged.id)
        for institution in (kit.institution, other):
            kit.store(dataset(StudyInstanceUID=f"2.{damaged.slug}"), institution=institution)
        assert merger.work() == (1 if damaged is kit.institution else 0)


def test_the_worker_merges_all_that_is_worth_it(people, merger, monkeypatch):
    monkeypatch.setattr(postings_merge, "_WORTH", 2)
    monkeypatch.setattr(postings_merge, "BATCH", 2)
    assert merger.work() == 6 and tail_size(people) == 1


def test_a_tail_of_any_length_hides_nothing(people, monkeypatch):
    monkeypatch.setattr(search, "MAX_CANDIDATES", 7)
    assert found(people, "smith*") == ["1.0", "1.1", "1.4", "1.6"]
    people.store(dataset(StudyInstanceUID="2.1"))
    # As after an upgrade, until the worker has merged: rather no answer than half of one.
    with pytest.raises(WardlightError) as error:
        found(people, "smith*")
    assert error.value.code == "unavailable"
