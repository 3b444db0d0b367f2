"""Candidates of a search are opened, matched and rendered; each study and series is opened once a search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight.archive import search_store
from wardlight.archive.attributes import (
    INSTANCE_AVAILABILITY,
    ISSUER_OF_PATIENT_ID,
    MODALITIES_IN_STUDY,
    PATIENT_ID,
    SERIES_INSTANCES,
    STUDY_INSTANCES,
    STUDY_SERIES,
    STUDY_UID,
    Attributes,
    computed,
    first_text,
    key_of,
)
from wardlight.archive.keyring import ReleaseKey, release_keys
from wardlight.archive.model import QueryLevel
from wardlight.archive.paging import Place
from wardlight.archive.search_plan import Plan
from wardlight.archive.search_store import InstanceCandidate, SeriesCandidate
from wardlight.archive.store import ReleaseRow
from wardlight.errors import WardlightError
from wardlight.keys.attributes import RowLevel
from wardlight.keys.keystore import Keystore

#: Rows below a study read at once.
_FIRST_ROWS: Final = 200
_MOST_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Result:
    """A row that matches, and where it stands."""

    release: ReleaseRow
    place: Place
    series: SeriesCandidate | None = None
    instance: InstanceCandidate | None = None


class Rows:
    """Opens rows for one search. budget: how many may be opened for matching."""

    def __init__(self, keystore: Keystore, plan: Plan, budget: int) -> None:
        self._keystore = keystore
        self._plan = plan
        self._budget = budget
        self._returned = sorted(map(key_of, plan.returned))
        self._keys: dict[UUID, ReleaseKey | None] = {}
        self._studies: dict[UUID, Attributes] = {}
        self._series: dict[UUID, Attributes] = {}
        #: Of every study in the result: Patient ID, its issuer, Study UID.
        self.patients: dict[UUID, tuple[str, str, str]] = {}

    # ---- matching ----

    def studies(self, chunk: list[ReleaseRow]) -> Iterator[Result]:
        """Those studies of a chunk that match. Raises `query-too-broad` where too many had to be opened."""
        plan = self._plan
        if plan.study_filters or plan.series_filters or plan.instance_filters:
            self._keys |= release_keys(self._keystore, chunk)
        for release in chunk:
            if self._plan.study_filters:
                self._count()
                attributes = self._study(release)
                if not all(match(attributes) for match in self._plan.study_filters):
                    self._studies.pop(release.id, None)
                    continue
            yield Result(release, Place((release.study_date, release.number)))

    def below(self, tx: Connection, study: Result, after: Place | None, wanted: int) -> Iterator[Result]:
        """Matching series or instances of a study in order, those behind `after`."""
        if self._plan.level is QueryLevel.SERIES:
            for series in self._series_of(tx, study.release, after, wanted):
                if self._series_matches(study.release, series):
                    place = Place(study.place.study, (series.number, series.id))
                    yield Result(study.release, place, series)
            return
        for instance in self._instances_of(tx, study.release, after, wanted):
            series = instance.series
            if not self._series_matches(study.release, series):
                continue
            if self._plan.instance_filters:
                self._count()
                attributes = self._opened(study.release).unseal(
                    RowLevel.INSTANCE, instance.id, instance.sealed
                )
                if not all(match(attributes) for match in self._plan.instance_filters):
                    continue
            place = Place(study.place.study, (series.number, series.id), (instance.number, instance.id))
            yield Result(study.release, place, series, instance)

    def _series_of(
        self, tx: Connection, release: ReleaseRow, after: Place | None, wanted: int
    ) -> Iterator[SeriesCandidate]:
        place = after.series if after is not None else None
        size = min(wanted, _FIRST_ROWS)
        while True:
            rows = search_store.series_of(tx, self._plan.conditions, release.id, size, place)
            yield from rows
            if len(rows) < size:
                return
            place, size = (rows[-1].number, rows[-1].id), min(size * 4, _MOST_ROWS)

    def _instances_of(
        self, tx: Connection, release: ReleaseRow, after: Place | None, wanted: int
    ) -> Iterator[InstanceCandidate]:
        conditions = self._plan.conditions
        series = after.series if after is not None else None
        instance = after.instance if after is not None else None
        size = min(wanted, _FIRST_ROWS)
        while True:
            # First what is left of the series that the place is in, then the series behind it.
            rows = search_store.instances_of(tx, conditions, release.id, size, series, instance)
            yield from rows
            if rows:
                last = rows[-1]
                series = (last.series.number, last.series.id)
            if len(rows) == size:
                instance, size = (rows[-1].number, rows[-1].id), min(size * 4, _MOST_ROWS)
            elif instance is None:
                return
            else:
                instance = None

    def _series_matches(self, release: ReleaseRow, series: SeriesCandidate) -> bool:
        if not self._plan.series_filters:
            return True
        if series.id not in self._series:
            self._count()
        attributes = self._series_attributes(release, series)
        return all(match(attributes) for match in self._plan.series_filters)

    def _count(self) -> None:
        if self._budget <= 0:
            raise WardlightError("query-too-broad", "too many candidates had to be looked into")
        self._budget -= 1

    # ---- rendering ----

    def prepare(self, results: list[Result]) -> None:
        """Fetch the keys of rows that are going to be rendered: those that were skipped cost none."""
        missing = [row.release for row in results if row.release.id not in self._keys]
        self._keys |= release_keys(self._keystore, missing)

    def render(self, row: Result) -> Attributes:
        """The row as the client gets it, attributes in the order of their tags."""
        release = row.release
        attributes = self._study(release)
        if release.id not in self.patients:
            self.patients[release.id] = (
                first_text(attributes, PATIENT_ID),
                first_text(attributes, ISSUER_OF_PATIENT_ID),
                first_text(attributes, STUDY_UID),
            )
        if row.series is not None:
            attributes = attributes | self._series_attributes(release, row.series)
        if row.instance is not None:
            key = self._opened(release)
            attributes = attributes | key.unseal(RowLevel.INSTANCE, row.instance.id, row.instance.sealed)
        if self._plan.everything:
            return dict(sorted(attributes.items()))
        return {name: attributes[name] for name in self._returned if name in attributes}

    def _opened(self, release: ReleaseRow) -> ReleaseKey:
        key = self._keys[release.id]
        if key is None:
            raise WardlightError("key-destroyed")
        return key

    def _study(self, release: ReleaseRow) -> Attributes:
        study = self._studies.get(release.id)
        if study is None:
            study = self._opened(release).unseal_study(release)
            study |= computed(
                {
                    INSTANCE_AVAILABILITY: ["ONLINE"],
                    MODALITIES_IN_STUDY: list(release.modalities),
                    STUDY_SERIES: release.series_count,
                    STUDY_INSTANCES: release.instance_count,
                }
            )
            self._studies[release.id] = study
        return study

    def _series_attributes(self, release: ReleaseRow, row: SeriesCandidate) -> Attributes:
        series = self._series.get(row.id)
        if series is None:
            series = self._opened(release).unseal(RowLevel.SERIES, row.id, row.sealed)
            series |= computed({SERIES_INSTANCES: row.instances})
            self._series[row.id] = series
        return series
