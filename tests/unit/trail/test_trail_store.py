"""Searches of the trail find what reading all of it finds, along an index and within bounds, on both databases."""

from __future__ import annotations

import itertools
import random
import re
from datetime import timedelta

import pytest
from sqlalchemy import event

from platform_kit import a_platform
from sealed_kit import ACTIONS, PEOPLE, START, fill
from wardlight import clock
from wardlight.audit.tables import OUTCOMES
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail import store
from wardlight.trail.filters import GROUP_OF, Filter, filter_of

COUNT = 3000


class Bench:
    """A platform with a log of known entries, and another institution's beside it."""

    def __init__(self, platform):
        self.platform = platform
        create = platform.identity.create_institution
        self.own = create("stmary", "St Mary", "eu", by=LOCAL_ADMINISTRATOR).id
        self.other = create("other", "Other", "eu", by=LOCAL_ADMINISTRATOR).id
        fill(platform, self.other, 200, seed=2)
        self.entries = fill(platform, self.own, COUNT)
        self.head = platform.audit_log.logs(self.own)[-1]
        self.references = platform.recorder.references(self.own)

    def all(self, asked, limit=50):
        """(positions of all pages, how many pages)."""
        found, before = [], self.head.size
        for number in itertools.count(1):
            with self.platform.database.read(self.own) as tx:
                page = store.page(tx, self.head, asked, before, limit)
            assert len(page.rows) <= limit
            found += [row.idx for row in page.rows]
            if page.next is None:
                return found, number
            assert page.next < before
            before = page.next

    def expected(self, asked):
        """Positions of the entries that fit, newest first, by looking at each."""

        def fits(entry):
            named = {value for subject in entry.get("subjects", ()) for value in subject.values()}
            recorded = entry["recorded"]
            target = entry.get("object", {})
            return (
                (asked.from_ms is None or recorded >= _text(asked.from_ms))
                and (asked.to_ms is None or recorded < _text(asked.to_ms))
                and (not asked.actions or entry["action"] in asked.actions)
                and asked.actor in ("", "{kind}:{id}".format(**entry["actor"]))
                and (not asked.outcomes or OUTCOMES[entry["outcome"]] in asked.outcomes)
                and (not asked.subjects or named & set(asked.subjects))
                and asked.object in ("", f"{target.get('kind')}:{target.get('id')}")
                and asked.purpose in ("", entry.get("purpose"))
                and asked.grant in ("", entry.get("grant"))
            )

        return [idx for idx, entry in enumerate(self.entries) if fits(entry)][::-1]


def _text(ms):
    return clock.timestamp(START + timedelta(milliseconds=ms - START.timestamp() * 1000))


@pytest.fixture(scope="module")
def bench(stores):
    with a_platform() as platform:
        yield Bench(platform)


def some_filters(bench, count):
    """Filters of every kind and their mixtures, always the same ones."""
    chance = random.Random(7)
    minute = int(START.timestamp() * 1000)
    for _ in range(count):
        refs = [
            bench.references.patient(f"PAT-{n}", "hospital")
            for n in chance.sample(range(14), chance.randrange(3))
        ]
        refs += [bench.references.study(f"1.2.{n}") for n in chance.sample(range(14), chance.randrange(2))]
        first = minute + chance.randrange(COUNT) * 60_000 if chance.random() < 0.3 else None
        last = (first or minute) + chance.randrange(1, COUNT) * 60_000 if chance.random() < 0.3 else None
        yield Filter(
            from_ms=first,
            to_ms=last,
            actions=tuple(sorted(chance.sample(ACTIONS, chance.choice((0, 0, 1, 2))))),
            actor=chance.choice(("", "", f"person:{chance.choice(PEOPLE)}", "person:nobody")),
            outcomes=tuple(sorted(chance.sample(range(5), chance.choice((0, 0, 1, 2))))),
            subjects=tuple(sorted(refs)) if chance.random() < 0.5 else (),
            object=chance.choice(("", "", "", "route:rt-3")),
            purpose=chance.choice(("", "", "TREAT")),
            grant=chance.choice(("", "", "", "gr-4")),
        )


def test_pages_are_what_reading_all_finds(bench):
    found_something = 0
    for asked in some_filters(bench, 60):
        expected = bench.expected(asked)
        assert bench.all(asked)[0] == expected, asked
        found_something += bool(expected)
    assert found_something > 20


def test_every_size_of_page(bench):
    for asked in (Filter(), Filter(actor="person:u-01"), Filter(actions=ACTIONS[:2], purpose="TREAT")):
        expected = bench.expected(asked)
        for limit in (7, 200):
            found, pages = bench.all(asked, limit)
            assert found == expected
            assert pages in (-(-len(expected) // limit), len(expected) // limit + 1)


def test_a_call_looks_at_so_much_and_then_goes_on(bench, monkeypatch):
    monkeypatch.setattr(store, "SCAN", 100)
    monkeypatch.setattr(store, "_FIRST_ROUND", 40)
    for asked in (
        Filter(grant="gr-4"),
        Filter(actor="person:u-02", grant="gr-4"),
        Filter(actions=ACTIONS, outcomes=(4,), purpose="HRESCH"),
        Filter(subjects=tuple(bench.references.study(f"1.2.{n}") for n in range(12)), outcomes=(3,)),
    ):
        with bench.platform.database.read(bench.own) as tx:
            page = store.page(tx, bench.head, asked, bench.head.size, 5)
        assert page.next is not None
        assert bench.all(asked, 5)[0] == bench.expected(asked)
    # Nothing is found, and yet each call ends and the last one says so.
    assert bench.all(Filter(grant="gr-none"))[0] == []
    assert bench.all(Filter(grant="gr-none"))[1] > COUNT // 100


def test_many_walks_in_one_search(bench):
    subjects = [bench.references.patient(f"PAT-{n}", "hospital") for n in range(300)]
    asked = Filter(subjects=tuple(sorted(subjects)))
    assert bench.all(asked, 200)[0] == bench.expected(asked)


def test_times_between_heads(bench):
    """The bounds come from signed heads, of which there are few here, and lose nothing at either end."""
    begin = int(START.timestamp() * 1000)
    for first, last in ((0, 1), (-5, 3), (10.5, 11), (COUNT - 2, COUNT + 9), (1990, 2010), (999.9, 1000.2)):
        asked = Filter(from_ms=begin + int(first * 60_000), to_ms=begin + int(last * 60_000))
        assert bench.all(asked)[0] == bench.expected(asked)
    assert bench.all(Filter(to_ms=begin - 86_400_000))[0] == []


def test_another_institution_gets_nothing_even_by_the_number_of_the_log(bench):
    foreign = store.Head(**{**_members(bench.head), "institution": bench.other})
    for asked in (Filter(), *some_filters(bench, 20)):
        with bench.platform.database.read(bench.other) as tx:
            page = store.page(tx, foreign, asked, foreign.size, 50)
            assert page.rows == [] and store.sealing(tx, foreign) == []
    with bench.platform.database.read(bench.other) as tx:
        if bench.platform.database.dialect == "postgresql":
            # The second wall: a statement that names the right institution in a transaction of another.
            assert store.page(tx, bench.head, Filter(), bench.head.size, 50).rows == []


def _members(head):
    return {name: getattr(head, name) for name in head.__slots__}


def plans(bench, asked):
    """How the database carries out each statement of a page."""
    statements = []
    engine = bench.platform.database._reader
    engine = getattr(engine, "engine", engine)

    def keep(conn, cursor, statement, parameters, context, executemany):
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", keep)
    try:
        bench.all(asked)
    finally:
        event.remove(engine, "before_cursor_execute", keep)
    postgresql = bench.platform.database.dialect == "postgresql"
    found = []
    with bench.platform.database.read(bench.own) as tx:
        cursor = tx.connection.cursor()
        if postgresql:
            cursor.execute("SET LOCAL enable_seqscan = on")
        for statement, parameters in statements:
            if "set_config" in statement:
                if "wardlight.institution" not in statement:
                    cursor.execute(statement, parameters)
                continue
            if "audit_entry" not in statement and "audit_subject" not in statement:
                continue
            explain = "EXPLAIN " if postgresql else "EXPLAIN QUERY PLAN "
            cursor.execute(explain + statement, parameters)
            found.append((statement, "\n".join(str(row[-1]) for row in cursor.fetchall())))
    assert found
    return found


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (Filter(), None),
        (Filter(actor="person:u-01"), "audit_entry_actor"),
        (Filter(actor="person:u-01", actions=(ACTIONS[0].value,), from_ms=1), "audit_entry_actor"),
        (Filter(actions=(ACTIONS[0].value, ACTIONS[1].value)), "audit_entry_action"),
        (Filter(outcomes=(3, 4)), "audit_entry_outcome"),
        (Filter(subjects=("p1.AAAAAAAAAAAAAAAAAAAAAA",)), "audit_subject"),
        (Filter(purpose="TREAT"), None),
        (Filter(grant="gr-3", to_ms=10**13), None),
    ],
)
def test_no_filter_scans_the_table(bench, asked, index):
    """Each statement walks an index; on PostgreSQL under row-level security, whatever it thinks of the numbers."""
    texts = plans(bench, asked)
    for statement, plan in texts:
        assert "SCAN audit_entry" not in plan and "Seq Scan on audit_entry" not in plan, plan
        if "audit_entry.content" in statement and bench.platform.database.dialect == "postgresql":
            # By the positions that were found, or a range of them: never by the log alone.
            assert "Bitmap" not in plan and re.search(r"Index Scan (Backward )?using audit_entry_", plan), (
                plan
            )
            assert re.search(r"Index Cond: .*idx (=|>=)", plan), plan
        assert "SCAN audit_subject" not in plan and "Seq Scan on audit_subject" not in plan, plan
    if index is not None:
        walk = next(plan for _, plan in texts if index in plan)
        if bench.platform.database.dialect == "postgresql":
            assert "Index Only Scan Backward using " + index in walk, walk
            assert "Index Cond" in walk and "idx <" in walk, walk
        else:
            assert "SEARCH" in walk


def test_groups_are_all_actions_once():
    actions = [action for group in set(GROUP_OF.values()) for action in filter_of({"group": group}).actions]
    assert sorted(actions) == sorted(GROUP_OF)


@pytest.mark.parametrize(
    "given",
    [
        {"from": "yesterday"},
        {"from": "2026-03-01T00:00:00"},
        {"from": "2026-03-02", "to": "2026-03-01"},
        {"to": "99999-01-01"},
        {"to": 5},
        {"action": "dicomweb:study:peek"},
        {"group": "reads"},
        {"outcome": "fine"},
        {"actor": "u-1"},
        {"actor": "person:"},
        {"actor": ["person:u-1"]},
        {"subject": "PAT-0042"},
        {"subject": ["p1." + "A" * 21]},
        {"subject": ["p1." + "A" * 22] * 101},
        {"object": "Müller"},
        {"purpose": "treat"},
        {"grant": "a b"},
        {"action": {"a": 1}},
    ],
)
def test_what_is_no_filter_is_refused_without_saying_what_it_was(given):
    with pytest.raises(WardlightError) as error:
        filter_of(given)
    assert error.value.code == "bad-request"
    assert all(str(value) not in error.value.detail for value in given.values() if isinstance(value, str))


def test_a_filter_is_told_without_its_values():
    asked = filter_of(
        {
            "from": "2026-03-01",
            "actor": "person:u-1",
            "subject": ["p1." + "A" * 22],
            "grant": "gr-1",
            "group": "read",
        }
    )
    assert asked.told() == "time=range&action=exact&actor=exact&subject=exact&grant=exact"
    assert asked.digest != Filter().digest and len(asked.name) == 22
    assert "AAAA" not in repr(asked)
