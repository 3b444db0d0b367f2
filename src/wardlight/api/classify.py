"""What is in a body that somebody sends, by class: looked at while it comes, and kept nowhere."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Mapping
from typing import Any, Final

from wardlight.access.model import Scope
from wardlight.api.parts import ApiParts
from wardlight.audit.actions import Action
from wardlight.audit.model import Event
from wardlight.classification.found import Confidence, Finding
from wardlight.classification.packed import Limits
from wardlight.classification.scan import Scanner
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of, behalf_of
from wardlight.trail.call import JSON

#: Bytes of a body: what is larger is for the command, which has no other requests to serve beside it.
MOST: Final = 64 << 20
#: Findings of an answer; the rest is counted.
_FINDINGS: Final = 1000
#: Bodies looked at together in one process: it is work for the processor.
_TOGETHER: Final = 2
_LIMITS: Final = Limits(unpacked=256 << 20, document=16 << 20, findings=_FINDINGS)
#: Pieces that wait to be looked at; seconds until one is taken.
_WAITING: Final = 2
_WAIT_S: Final = 60.0
#: Seconds after which who waits for a piece asks whether one may still come.
_LOOK_S: Final = 1.0
#: How findings name the body, by its media type: a table is told by that.
_NAMES: Final = {"text/csv": "body.csv", "text/tab-separated-values": "body.tsv"}

_places = threading.BoundedSemaphore(_TOGETHER)


class Classifying:
    """One body. `feed` what comes, `finish` for the answer, `abort` in any case."""

    def __init__(self, parts: ApiParts, scope: Scope, media: str, query: Mapping[str, str]) -> None:
        try:
            least = Confidence(query.get("least") or Confidence.MEDIUM)
        except ValueError:
            raise WardlightError("bad-request", "least is low, medium or high") from None
        if not _places.acquire(blocking=False):
            raise WardlightError("rate-limited", "others are being looked at", headers={"Retry-After": "5"})
        self._parts = parts
        self._scope = scope
        self._scanner = Scanner(least=least, limits=_LIMITS)
        self._name = _NAMES.get(media.partition(";")[0].strip().lower(), "body")
        self._pieces: queue.Queue[bytes] = queue.Queue(_WAITING)
        self._size = 0
        self._found: list[Finding] = []
        self._failed: BaseException | None = None
        self._ended = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="classify", daemon=True)
        self._thread.start()

    def feed(self, batch: list[bytes]) -> None:
        """The next pieces. Raises `too-large`."""
        data = b"".join(batch)
        self._size += len(data)
        if self._size > MOST:
            raise WardlightError("too-large", f"the body is larger than {MOST >> 20} MiB")
        if data:
            self._put(data)

    def finish(self, last: list[bytes]) -> Answer:
        """The answer, once it is in the trail that it was given: counts and classes alone."""
        self.feed(last)
        self.abort()
        if self._thread.is_alive():
            # A part of the answer would be taken for all of it.
            raise WardlightError("unavailable", "it takes too long to look at this")
        if self._failed is not None:
            raise self._failed
        seen, scope = self._scanner.seen, self._scope
        classes = {one.value: count for one, count in seen.classes.items()}
        event = Event(
            Action.CLASSIFY_ITEM_CLASSIFY,
            actor_of(scope.principal),
            behalf=behalf_of(scope.principal),
            purpose=scope.purpose,
            classes=tuple(sorted(classes)),
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            counts={"bytes": self._size, "results": len(self._found) + seen.more},
        )
        with self._parts.database.begin(scope.institution) as tx:
            self._parts.recorder.write(tx, scope.institution, event)
        body: dict[str, Any] = {
            "findings": [one.members() for one in self._found],
            "classes": dict(sorted(classes.items())),
            "bytes": self._size,
            "more": seen.more,
            "refused": seen.refused[0][1] if seen.refused else None,
        }
        headers = {"Cache-Control": "no-store"}
        return Answer(json.dumps(body, ensure_ascii=False).encode(), JSON, 200, headers)

    def abort(self) -> None:
        """End the work. Harmless when it has ended. Its place is free when the thread has ended, and no sooner."""
        if not self._ended:
            self._ended = True
            try:
                self._put(b"")
                self._thread.join(_WAIT_S)
            finally:
                self._over.set()

    def _put(self, data: bytes) -> None:
        try:
            self._pieces.put(data, timeout=_WAIT_S)
        except queue.Full:
            raise WardlightError("unavailable", "it takes too long to look at this") from None

    def _work(self) -> None:
        source = _Source(self._pieces, self._over)
        try:
            self._found.extend(self._scanner.stream(source, self._name))
        except BaseException as error:  # noqa: BLE001 - told by `finish`, in the thread of the request
            self._failed = error
        finally:
            source.drain()
            _places.release()


class _Source:
    """The pieces as something to read from."""

    def __init__(self, pieces: queue.Queue[bytes], over: threading.Event) -> None:
        """over: nobody gives any more, whether the end came or not."""
        self._pieces = pieces
        self._over = over
        self._rest = memoryview(b"")
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """The next bytes, none at the end."""
        if not self._rest and not self._ended:
            self._rest = memoryview(self._next())
            self._ended = not self._rest
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data

    def drain(self) -> None:
        """Take the rest, so that nobody waits to give it."""
        while not self._ended:
            self._ended = not self._next()

    def _next(self) -> bytes:
        while True:
            try:
                return self._pieces.get(timeout=_LOOK_S)
            except queue.Empty:
                if self._over.is_set():
                    return b""
