"""Searches: clear columns and tokens in SQL, every other key by matching unsealed values (security.md section 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight.access.model import Operation, Scope
from wardlight.archive import search_store, store
from wardlight.archive.attributes import (
    INSTANCE_AVAILABILITY,
    INSTANCE_DEFAULT,
    INSTANCE_TAGS,
    ISSUER_OF_PATIENT_ID,
    MODALITIES_IN_STUDY,
    MODALITY,
    PATIENT_ID,
    REQUEST_ATTRIBUTES,
    SERIES_DEFAULT,
    SERIES_INSTANCES,
    SERIES_TAGS,
    SERIES_UID,
    SOP_CLASS,
    SOP_UID,
    STUDY_DATE,
    STUDY_DEFAULT,
    STUDY_INSTANCES,
    STUDY_SERIES,
    STUDY_TAGS,
    STUDY_UID,
    Attributes,
    computed,
    first_text,
    key_of,
    only,
)
from wardlight.archive.keyring import ReleaseKey, Tokens, release_key
from wardlight.archive.matching import Matcher, date_bounds, is_universal, matcher, uid_list
from wardlight.archive.model import MatchKey, Page, Query, QueryLevel
from wardlight.archive.search_store import Candidate, Conditions
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.dicom.dictionary import keyword_of, vr_of
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of
from wardlight.keys.attributes import RowLevel
from wardlight.keys.keystore import Keystore

#: Most candidates that one search unseals.
MAX_CANDIDATES: Final = 5000
#: Rows of a page: when the client says nothing, and at most.
DEFAULT_ROWS: Final = {QueryLevel.STUDY: 1000, QueryLevel.SERIES: 5000, QueryLevel.INSTANCE: 5000}
MAX_ROWS: Final = 5000

# Members of Request Attributes Sequence that may be matched: Scheduled Procedure Step ID, Requested Procedure ID.
_REQUEST_MEMBERS: Final = frozenset({0x00400009, 0x00401001})
_LEVEL_TAGS: Final = {
    QueryLevel.STUDY: STUDY_TAGS | {MODALITIES_IN_STUDY},
    QueryLevel.SERIES: STUDY_TAGS | SERIES_TAGS | {MODALITIES_IN_STUDY},
    QueryLevel.INSTANCE: STUDY_TAGS | SERIES_TAGS | INSTANCE_TAGS | {MODALITIES_IN_STUDY},
}


@dataclass(slots=True)
class _Plan:
    """A search after its keys were sorted out."""

    level: QueryLevel
    conditions: Conditions
    study_tokens: list[bytes] | None = None
    series_tokens: list[bytes] | None = None
    instance_tokens: list[bytes] | None = None
    filters: list[tuple[tuple[int, ...], Matcher]] = field(default_factory=list)
    returned: frozenset[int] = frozenset()
    everything: bool = False


class Search:
    """Answers searches within scopes. Keeps nothing between calls."""

    def __init__(self, database: Database, keystore: Keystore, recorder: Recorder) -> None:
        self._database = database
        self._keystore = keystore
        self._recorder = recorder

    def search(self, scope: Scope, level: QueryLevel, query: Query) -> Page:
        """See `Archive.search_studies`. The query is in the trail before its result is returned."""
        scope.require(Operation.SEARCH)
        tokens = Tokens(self._keystore, scope.institution)
        plan = _Plan(level, Conditions(scope.institution, query.application))
        for key in query.keys:
            _add_key(plan, key, tokens)
        plan.returned = _returned(level, query)
        plan.everything = query.include_all
        limit = min(query.limit or DEFAULT_ROWS[level], MAX_ROWS)
        with self._database.read(scope.institution) as tx:
            self._resolve(tx, plan, query, tokens)
            if plan.filters:
                found = search_store.candidates(tx, level, plan.conditions, MAX_CANDIDATES + 1, 0)
            else:
                found = search_store.candidates(tx, level, plan.conditions, limit + 1, query.offset)
        if plan.filters and len(found) > MAX_CANDIDATES:
            raise WardlightError("query-too-broad", f"more than {MAX_CANDIDATES} candidates")
        rows = _Rows(self._keystore, plan)
        if plan.filters:
            found = rows.matching(found, query.offset + limit + 1)[query.offset :]
        page = Page([rows.render(row) for row in found[:limit]], len(found) > limit)
        self._record(scope, level, query, rows.patients, len(page.rows))
        return page

    def _resolve(self, tx: Connection, plan: _Plan, query: Query, tokens: Tokens) -> None:
        """Bind the search to studies and series, of the resource path or of UID keys. Raises `not-found`."""
        conditions = plan.conditions
        scope = (conditions.institution, conditions.application)
        if query.study_uid is not None:
            release = store.find_release(tx, conditions.institution, tokens.study(query.study_uid))
            if release is None:
                raise WardlightError("not-found")
            conditions.releases = [release.id]
            if query.series_uid is not None:
                series = store.find_series(tx, release.id, tokens.series(query.series_uid))
                if series is None:
                    raise WardlightError("not-found")
                conditions.series = [series.id]
        if plan.study_tokens is not None:
            found = search_store.releases_by_tokens(tx, *scope, plan.study_tokens)
            conditions.releases = _both(conditions.releases, found)
        if plan.series_tokens is not None:
            found_below = search_store.series_by_tokens(tx, conditions.institution, plan.series_tokens)
            conditions.series = _both(conditions.series, _within(conditions, found_below))
        if plan.instance_tokens is not None:
            found_below = search_store.instances_by_tokens(tx, conditions.institution, plan.instance_tokens)
            conditions.instances = _within(conditions, found_below)

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
            if key.path == (PATIENT_ID,) and _way(key) == "exact":
                subjects.append((references.patient(key.value), ""))
            elif key.path == (STUDY_UID,) and not is_universal(key.value):
                subjects += [("", references.study(uid)) for uid in uid_list(key.value)]
        event = Event(
            Action.DICOMWEB_STUDY_QUERY,
            actor_of(scope.principal),
            target=Target("study", ref=references.study(query.study_uid)) if query.study_uid else None,
            subjects=tuple(dict.fromkeys(subjects)),
            purpose=scope.purpose,
            classes=("health",),
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            counts={"results": results},
            detail={"query": "&".join(_told(key) for key in query.keys)[:2000], "level": level.value},
        )
        with self._database.begin(scope.institution) as tx:
            self._recorder.write(tx, scope.institution, event)


class _Rows:
    """Unseals candidates, matches and renders them; opens each release once a search."""

    def __init__(self, keystore: Keystore, plan: _Plan) -> None:
        self._keystore = keystore
        self._plan = plan
        self._studies: dict[UUID, tuple[ReleaseKey, Attributes]] = {}
        self._series: dict[UUID, Attributes] = {}
        #: Of every study in the result: Patient ID, its issuer, Study UID.
        self.patients: dict[UUID, tuple[str, str, str]] = {}

    def matching(self, found: list[Candidate], enough: int) -> list[Candidate]:
        """The first `enough` candidates that match every key."""
        matched = []
        for row in found:
            attributes = self._attributes(row)
            if all(_matches(attributes, path, match) for path, match in self._plan.filters):
                matched.append(row)
                if len(matched) == enough:
                    break
        return matched

    def render(self, row: Candidate) -> Attributes:
        """The row as the client gets it, attributes in the order of their tags."""
        attributes = self._attributes(row)
        if row.release.id not in self.patients:
            self.patients[row.release.id] = (
                first_text(attributes, PATIENT_ID),
                first_text(attributes, ISSUER_OF_PATIENT_ID),
                first_text(attributes, STUDY_UID),
            )
        wanted = attributes if self._plan.everything else only(attributes, self._plan.returned)
        return dict(sorted(wanted.items()))

    def _attributes(self, row: Candidate) -> Attributes:
        key, study = self._study(row)
        if row.series is None:
            return study
        series = self._series.get(row.series)
        if series is None:
            series = key.unseal(RowLevel.SERIES, row.series, row.series_sealed)
            series |= computed({SERIES_INSTANCES: row.series_instances})
            self._series[row.series] = series
        if row.instance is None:
            return study | series
        return study | series | key.unseal(RowLevel.INSTANCE, row.instance, row.instance_sealed)

    def _study(self, row: Candidate) -> tuple[ReleaseKey, Attributes]:
        release = row.release
        opened = self._studies.get(release.id)
        if opened is None:
            key = release_key(self._keystore, release)
            study = key.unseal_study(release)
            study |= computed(
                {
                    INSTANCE_AVAILABILITY: ["ONLINE"],
                    MODALITIES_IN_STUDY: list(release.modalities),
                    STUDY_SERIES: release.series_count,
                    STUDY_INSTANCES: release.instance_count,
                }
            )
            opened = self._studies[release.id] = (key, study)
        return opened


def _add_key(plan: _Plan, key: MatchKey, tokens: Tokens) -> None:
    """Put one key where it is decided. Raises `matching-key-not-supported`, `bad-request`, `query-too-broad`."""
    tag = key.path[0]
    member = len(key.path) == 2 and tag == REQUEST_ATTRIBUTES and key.path[1] in _REQUEST_MEMBERS
    if tag not in _LEVEL_TAGS[plan.level] or not (member or (len(key.path) == 1 and vr_of(tag) != b"SQ")):
        raise WardlightError("matching-key-not-supported", _keyword(key.path))
    if is_universal(key.value):
        return
    special = _IN_SQL.get(tag)
    if special is None or not special(plan, key.value, tokens):
        plan.filters.append((key.path, matcher(vr_of(key.path[-1]).decode(), key.value)))


def _study_uids(plan: _Plan, value: str, tokens: Tokens) -> bool:
    plan.study_tokens = [tokens.study(uid) for uid in uid_list(value)]
    return True


def _series_uids(plan: _Plan, value: str, tokens: Tokens) -> bool:
    plan.series_tokens = [tokens.series(uid) for uid in uid_list(value)]
    return True


def _instance_uids(plan: _Plan, value: str, tokens: Tokens) -> bool:
    plan.instance_tokens = [tokens.instance(uid) for uid in uid_list(value)]
    return True


def _sop_classes(plan: _Plan, value: str, _: Tokens) -> bool:
    plan.conditions.sop_classes = uid_list(value)
    return True


def _dates(plan: _Plan, value: str, _: Tokens) -> bool:
    plan.conditions.dates.append(date_bounds(value))
    return True


def _modalities_in_study(plan: _Plan, value: str, _: Tokens) -> bool:
    if _has_wildcard(value):
        return False
    plan.conditions.modalities_in_study.append(value.strip().replace(" ", "_"))
    return True


def _modality(plan: _Plan, value: str, _: Tokens) -> bool:
    if _has_wildcard(value):
        return False
    plan.conditions.modalities.append(value.strip().replace(" ", "_"))
    return True


_IN_SQL: Final[dict[int, Callable[[_Plan, str, Tokens], bool]]] = {
    STUDY_UID: _study_uids,
    SERIES_UID: _series_uids,
    SOP_UID: _instance_uids,
    SOP_CLASS: _sop_classes,
    STUDY_DATE: _dates,
    MODALITIES_IN_STUDY: _modalities_in_study,
    MODALITY: _modality,
}


def _both(bound: list[UUID] | None, found: list[UUID]) -> list[UUID]:
    """What both the resource path, where it names something, and the keys allow."""
    return found if bound is None else [id_ for id_ in bound if id_ in set(found)]


def _within(conditions: Conditions, found: list[tuple[str, UUID, UUID]]) -> list[UUID]:
    """Of (application, release, row) the rows that the search is about; binds it to their releases."""
    bound = conditions.releases
    places = [
        (release, row)
        for application, release, row in found
        if (application == conditions.application if bound is None else release in bound)
    ]
    conditions.releases = list(dict.fromkeys(release for release, _ in places))
    return [row for _, row in places]


def _matches(attributes: Attributes, path: tuple[int, ...], match: Matcher) -> bool:
    attribute: dict[str, Any] = attributes.get(key_of(path[0]), {})
    if len(path) == 1:
        return match(attribute)
    return any(match(item.get(key_of(path[1]), {})) for item in attribute.get("Value") or ())


def _returned(level: QueryLevel, query: Query) -> frozenset[int]:
    """Tags to return: those of the level, of levels the resource path does not name, keys, and what was asked for."""
    wanted = query.include | {key.path[0] for key in query.keys} | {STUDY_UID}
    if level is QueryLevel.STUDY or query.study_uid is None:
        wanted |= STUDY_DEFAULT
    if level is QueryLevel.SERIES or (level is QueryLevel.INSTANCE and query.series_uid is None):
        wanted |= SERIES_DEFAULT
    if level is QueryLevel.INSTANCE:
        wanted |= INSTANCE_DEFAULT | {SERIES_UID}
    return wanted


def _told(key: MatchKey) -> str:
    return f"{_keyword(key.path)}={_way(key)}"


def _keyword(path: tuple[int, ...]) -> str:
    return ".".join(keyword_of(tag) or key_of(tag) for tag in path)


def _way(key: MatchKey) -> str:
    """How a key is matched: all that the audit trail says of its value."""
    value = key.value
    vr = vr_of(key.path[-1])
    if is_universal(value):
        return "any"
    if vr == b"UI":
        return "list" if "," in value or "\\" in value else "exact"
    if vr in (b"DA", b"TM", b"DT"):
        return "range" if "-" in value else "exact"
    if not _has_wildcard(value):
        return "exact"
    return "prefix" if value.endswith("*") and not _has_wildcard(value[:-1]) else "wildcard"


def _has_wildcard(value: str) -> bool:
    return "*" in value or "?" in value
