"""Searches: clear columns and tokens in SQL, names and IDs by sealed postings, the rule of PS3.4 on unsealed values.

A search walks studies in their order, newest first, and below them series and instances, until its page is full
(security.md section 4, PS3.18 section 10.6).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight.access.model import Operation, Scope, Use
from wardlight.archive import granted_store, paging, postings_store, search_plan, search_store, store
from wardlight.archive.attributes import PATIENT_ID, STUDY_UID
from wardlight.archive.finding import find_study, holder_of
from wardlight.archive.granted_store import Holder
from wardlight.archive.keyring import Tokens, cursor_key, posting_keys
from wardlight.archive.matching import EMPTY, is_universal, uid_list
from wardlight.archive.model import Page, Query, QueryLevel
from wardlight.archive.paging import Place
from wardlight.archive.postings import Alternatives, day_bounds, days_of
from wardlight.archive.postings_blocks import Chains
from wardlight.archive.search_plan import Plan
from wardlight.archive.search_rows import Result, Rows
from wardlight.archive.search_store import ALL, NUMBERS, RELEASES, TAIL, Conditions
from wardlight.archive.store import ReleaseRow
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of, behalf_of
from wardlight.keys.keystore import Keystore
from wardlight.keys.postings import entry, entry_values

#: Most candidates that one search unseals.
MAX_CANDIDATES: Final = 5000
#: Rows of a page: when the client says nothing, and at most.
DEFAULT_ROWS: Final = {QueryLevel.STUDY: 1000, QueryLevel.SERIES: 5000, QueryLevel.INSTANCE: 5000}
MAX_ROWS: Final = 5000
#: Rows that may be skipped by `offset`; beyond it a cursor costs nothing.
MAX_OFFSET: Final = 100_000
#: Studies read at once: as many as may be needed first, then more each time.
_FIRST_STUDIES: Final = 32
_MOST_STUDIES: Final = 500
#: A set of candidates so small is not worth reading further postings.
_FEW: Final = 64


class Search:
    """Answers searches within scopes. Keeps nothing between calls."""

    def __init__(self, database: Database, keystore: Keystore, recorder: Recorder) -> None:
        self._database = database
        self._keystore = keystore
        self._recorder = recorder

    def search(self, scope: Scope, level: QueryLevel, query: Query) -> Page:
        """See `Archive.search_studies`. The query is in the trail before its result is returned."""
        scope.require(Operation.SEARCH)
        if query.offset > MAX_OFFSET:
            raise WardlightError(
                "query-too-broad", f"offset is beyond {MAX_OFFSET}; follow the links of pages"
            )
        tokens = Tokens(self._keystore, scope.institution)
        conditions = Conditions(scope.institution, query.application, holder_of(scope))
        plan = search_plan.make(level, query, tokens, conditions)
        if (only := scope.principal.study) is not None:
            named = plan.study_tokens
            plan.study_tokens = [only] if named is None or only in named else []
        if conditions.holder:
            # Postings are the institution's: their times and counts would tell of studies that are not granted. The
            # keys' own rules are filters, too.
            plan.tokens.clear()
        after = paging.opened(cursor_key(self._keystore, scope.institution), level, query)
        limit = min(query.limit or DEFAULT_ROWS[level], MAX_ROWS)
        rows = Rows(self._keystore, plan, MAX_CANDIDATES)
        with self._database.read(scope.institution) as tx:
            self._resolve(tx, plan, query, tokens, scope)
            results = self._results(tx, plan, rows, after, limit + query.offset + 1)
            found = list(islice(results, query.offset, query.offset + limit + 1))
            scope.uses.extend(_uses(tx, conditions.holder, found))
        page = self._page(scope, level, query, rows, found, limit)
        self._record(scope, level, query, rows.patients, len(page.rows))
        return page

    def _page(
        self, scope: Scope, level: QueryLevel, query: Query, rows: Rows, found: list[Result], limit: int
    ) -> Page:
        rows.prepare(found[:limit])
        shown = [rows.render(row) for row in found[:limit]]
        if len(found) <= limit:
            return Page(shown, False)
        last = found[limit - 1].place
        return Page(
            shown, True, paging.seal(cursor_key(self._keystore, scope.institution), level, query, last)
        )

    def _resolve(self, tx: Connection, plan: Plan, query: Query, tokens: Tokens, asked: Scope) -> None:
        """Bind the search to studies and series, of the resource path or of UID keys. Raises `not-found`."""
        conditions = plan.conditions
        if query.study_uid is not None:
            release, _ = find_study(tx, asked, tokens.study(query.study_uid))
            conditions.releases = [release.id]
            if query.series_uid is not None:
                series = store.find_series(
                    tx, release.id, tokens.series(query.series_uid), completed=asked.granted
                )
                if series is None:
                    raise WardlightError("not-found")
                conditions.series = [series.id]
        if plan.study_tokens is not None:
            found = search_store.releases_by_tokens(tx, conditions, plan.study_tokens)
            conditions.releases = _both(conditions.releases, found)
        if plan.series_tokens is not None:
            found_below = search_store.series_by_tokens(tx, conditions.institution, plan.series_tokens)
            conditions.series = _both(conditions.series, _within(conditions, found_below))
        if plan.instance_tokens is not None:
            found_below = search_store.instances_by_tokens(tx, conditions.institution, plan.instance_tokens)
            conditions.instances = _within(conditions, found_below)

    # ---- studies in their order ----

    def _results(
        self, tx: Connection, plan: Plan, rows: Rows, after: Place | None, wanted: int
    ) -> Iterator[Result]:
        """Matching rows in order, behind `after`."""
        studies = self._studies(tx, plan, after, wanted)
        if not plan.tokens and plan.conditions.releases is None:
            studies = self._bounded(plan, studies)
        for chunk in studies:
            matching = rows.studies(chunk)
            if plan.level is QueryLevel.STUDY:
                yield from matching
                continue
            for study in matching:
                begun = after if after is not None and after.study == study.place.study else None
                yield from rows.below(tx, study, begun, wanted)

    def _bounded(self, plan: Plan, chunks: Iterable[list[ReleaseRow]]) -> Iterator[list[ReleaseRow]]:
        """The chunks of a search that no index narrows, counted first where values must be read to match."""
        lower = [*plan.series_filters, *plan.instance_filters]
        if not (plan.study_filters or lower or plan.conditions.below_study):
            yield from chunks
            return
        held: list[list[ReleaseRow]] = []
        studies = below = 0
        for chunk in chunks:
            held.append(chunk)
            studies += len(chunk)
            if lower and not plan.conditions.below_study:
                counts = [
                    row.instance_count if plan.level is QueryLevel.INSTANCE else row.series_count
                    for row in chunk
                ]
                below += sum(counts)
            if (plan.study_filters or lower) and max(studies, below) > MAX_CANDIDATES:
                raise WardlightError("query-too-broad", f"more than {MAX_CANDIDATES} candidates")
            if not (plan.study_filters or lower):
                if studies > MAX_CANDIDATES:
                    raise WardlightError("query-too-broad", f"more than {MAX_CANDIDATES} studies looked into")
                yield held.pop()
        yield from held

    def _studies(
        self, tx: Connection, plan: Plan, after: Place | None, wanted: int
    ) -> Iterator[list[ReleaseRow]]:
        """Candidates in order, in chunks."""
        conditions = plan.conditions
        place = after.study if after is not None else None
        # Below the study of the place there may be more.
        including = plan.level is not QueryLevel.STUDY
        if conditions.releases is not None:
            found = search_store.studies(
                tx,
                conditions,
                len(conditions.releases),
                source=RELEASES,
                named=conditions.releases,
                after=place,
                including=including,
            )
            yield found
            return
        if plan.tokens:
            yield from self._by_postings(tx, plan, place, including, wanted)
            return
        size = min(wanted, _MOST_STUDIES) if plan.level is QueryLevel.STUDY else _FIRST_STUDIES
        if plan.study_filters:
            size = _MOST_STUDIES
        while True:
            chunk = search_store.studies(tx, conditions, size, source=ALL, after=place, including=including)
            if chunk:
                yield chunk
            if len(chunk) < size:
                return
            place, including = (chunk[-1].study_date, chunk[-1].number), False
            size = min(size * 4, _MOST_STUDIES)

    def _by_postings(
        self, tx: Connection, plan: Plan, place: tuple[int, int] | None, including: bool, wanted: int
    ) -> Iterator[list[ReleaseRow]]:
        """Candidates by what postings hold, and the tail as a whole."""
        conditions = plan.conditions
        tail = search_store.studies(
            tx, conditions, MAX_CANDIDATES + 1, source=TAIL, after=place, including=including
        )
        if len(tail) > MAX_CANDIDATES:
            # Intake keeps the tail short; after an upgrade or damage all studies may be in it. What would be left out
            # would be missed by nobody.
            raise WardlightError("unavailable", "the search index is being made; try again later")
        tailed = {entry(days_of(row.study_date), row.number): row for row in tail}
        entries = self._entries(tx, plan)
        if conditions.dates is not None:
            first, last = day_bounds(*conditions.dates)
            low, high = entry(max(first, 0), 0), entry(max(last, 0) + 1, 0) if last >= 0 else b""
            entries = {one for one in entries if low <= one < high}
        if place is not None:
            bound = entry(days_of(place[0]), place[1])
            entries = {one for one in entries if one < bound or (including and one == bound)}
        ordered = sorted(entries | tailed.keys(), reverse=True)
        size = min(max(wanted, _FIRST_STUDIES), _MOST_STUDIES)
        for start in range(0, len(ordered), size):
            part = ordered[start : start + size]
            numbers = [entry_values(one)[1] for one in part if one not in tailed]
            found = search_store.studies(tx, conditions, len(numbers), source=NUMBERS, named=numbers)
            merged = [*found, *(tailed[one] for one in part if one in tailed)]
            merged.sort(key=lambda row: (row.study_date, row.number), reverse=True)
            yield merged

    def _entries(self, tx: Connection, plan: Plan) -> set[bytes]:
        """Entries that have all tokens of one alternative of every key, the keys with the fewest alternatives first."""
        institution = plan.conditions.institution
        state = postings_store.state(tx, institution)
        chains = [
            Chains(tx, institution, generation, posting_keys(self._keystore, institution, generation))
            for generation in state.read
        ]
        found: set[bytes] | None = None
        for alternatives in sorted(plan.tokens, key=_breadth):
            some: set[bytes] = set()
            for all_of in alternatives:
                some |= _having(chains, all_of)
            found = some if found is None else found & some
            if len(found) <= _FEW:
                break
        return found or set()

    def _record(
        self,
        scope: Scope,
        level: QueryLevel,
        query: Query,
        patients: dict[UUID, tuple[str, str, str]],
        results: int,
    ) -> None:
        """One entry, committed before the answer: whose data was in it, and by what was searched, not for what."""
        references = self._recorder.references(scope.institution)
        subjects = [
            (references.patient(patient_id, issuer), references.study(study_uid))
            for patient_id, issuer, study_uid in patients.values()
        ]
        for key in query.keys:
            if key.path == (PATIENT_ID,) and search_plan.way(key) == "exact" and key.value != EMPTY:
                subjects.append((references.patient(key.value), ""))
            elif key.path == (STUDY_UID,) and not is_universal(key.value):
                subjects += [("", references.study(uid)) for uid in uid_list(key.value)]
        grants = {use.grant for use in scope.uses if use.grant}
        event = Event(
            Action.DICOMWEB_STUDY_QUERY,
            actor_of(scope.principal),
            behalf=behalf_of(scope.principal),
            target=Target("study", ref=references.study(query.study_uid)) if query.study_uid else None,
            subjects=tuple(dict.fromkeys(subjects)),
            # A person's shares say for what they are, each for itself.
            purpose=scope.purpose if scope.principal.purpose or not scope.granted else "",
            basis=scope.basis,
            agreement=scope.agreement,
            grant=grants.pop().hex if len(grants) == 1 else "",
            classes=("health",),
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            counts={"results": results},
            detail={"query": search_plan.told(query.keys), "level": level.value},
        )
        with self._database.begin(scope.institution) as tx:
            self._recorder.write(tx, scope.institution, event)


def _uses(tx: Connection, holder: Holder | None, found: list[Result]) -> list[Use]:
    """What a page shows: its answer may still be on its way when somebody's access to it ends."""
    releases = list(dict.fromkeys(row.release.id for row in found))
    if holder is None or not releases:
        return [Use(release) for release in releases]
    return [Use(*pair) for pair in granted_store.grants_on(tx, holder, releases)]


def _breadth(alternatives: Alternatives) -> tuple[int, int]:
    """Long tokens choose fewer: the keys to begin with."""
    shortest = min(max(len(value) for _, value in all_of) for all_of in alternatives)
    return len(alternatives), -shortest


def _having(chains: list[Chains], all_of: list[tuple[int, bytes]]) -> set[bytes]:
    """Entries that have all of these tokens, in any generation."""
    found: set[bytes] | None = None
    for token in sorted(all_of, key=lambda one: -len(one[1])):
        entries: set[bytes] = set()
        for one in chains:
            entries |= one.entries([token])[token]
        found = entries if found is None else found & entries
        if len(found) <= _FEW:
            break
    return found or set()


def _both(bound: list[UUID] | None, found: list[UUID]) -> list[UUID]:
    """What both the resource path, where it names something, and the keys allow."""
    return found if bound is None else [id_ for id_ in bound if id_ in set(found)]


def _within(conditions: Conditions, found: list[tuple[str, UUID, UUID]]) -> list[UUID]:
    """Of (application, release, row) the rows that the search is about; binds it to their releases."""
    bound = conditions.releases
    # Grants choose among the releases of all applications, when these are read.
    any_application = conditions.holder is not None
    places = [
        (release, row)
        for application, release, row in found
        if ((any_application or application == conditions.application) if bound is None else release in bound)
    ]
    conditions.releases = list(dict.fromkeys(release for release, _ in places))
    return [row for _, row in places]
