"""Decides which association is let in: called AE, calling AE, address, as the routes say (R3.2)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from wardlight import log
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.receiver.gateway import Admission, Rejection
from wardlight.receiver.model import Route
from wardlight.receiver.routes import read_routes

#: A change of a route takes effect within this time, in seconds.
_FRESH_S: Final = 1.0
#: The first so many denials of one kind in a minute are audited one by one, the rest as one entry (audit.md section 1).
_SINGLE_DENIALS: Final = 10
_WINDOW_S: Final = 60.0
#: More kinds than this in one window share a last entry: a peer cannot fill memory with invented titles.
_KINDS: Final = 1000

Denial = tuple[str, str, str, str]
"""What was denied, calling AE title, address, reason."""


class RouteTable:
    """The routes, read again from the database when they are a second old."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._routes: dict[str, Route] = {}
        self._read_at = float("-inf")

    def get(self, called_ae: str) -> Route | None:
        """The enabled route of this title. Raises WardlightError("unavailable") if the database cannot be read."""
        with self._lock:
            if time.monotonic() - self._read_at > _FRESH_S:
                self._routes = {route.called_ae: route for route in read_routes(self._database)}
                self._read_at = time.monotonic()
            found = self._routes.get(called_ae)
        return found if found is not None and found.enabled else None


class DenialCounter:
    """Lets the first denials of a kind through to the audit trail and gathers the others."""

    def __init__(self, write: Callable[[Denial, int], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._counts: dict[Denial, int] = {}
        self._since = time.monotonic()

    def add(self, denial: Denial) -> None:
        """Count a denial; writes it if it is among the first of its kind in this minute."""
        self.flush(only_if_due=True)
        with self._lock:
            if denial not in self._counts and len(self._counts) >= _KINDS:
                denial = (denial[0], "", "", denial[3])
            self._counts[denial] = number = self._counts.get(denial, 0) + 1
        if number <= _SINGLE_DENIALS:
            self._write(denial, 0)

    def flush(self, *, only_if_due: bool = False) -> None:
        """Write one entry for each kind that had more denials than were written singly."""
        with self._lock:
            if only_if_due and time.monotonic() - self._since < _WINDOW_S:
                return
            counts, self._counts, self._since = self._counts, {}, time.monotonic()
        for denial, number in counts.items():
            if number > _SINGLE_DENIALS:
                self._write(denial, number - _SINGLE_DENIALS)


def admit(routes: RouteTable, called_ae: str, calling_ae: str, address: str) -> tuple[Admission, str]:
    """The decision on an association request and, for a rejection, its reason for the audit trail."""
    try:
        route = routes.get(called_ae)
    except WardlightError as error:
        log.error("receiver.routes_unreadable", error, code=error.code)
        return Admission.reject(Rejection.LOCAL_LIMIT), "unavailable"
    if route is None:
        return Admission.reject(Rejection.CALLED_AE), "called-ae"
    if not route.admits_title(calling_ae):
        return Admission.reject(Rejection.CALLING_AE), "calling-ae"
    if not route.admits_address(address):
        return Admission.reject(Rejection.CALLING_AE), "network"
    return Admission.accept(called_ae, unknown_syntaxes=route.unknown_syntaxes), ""
