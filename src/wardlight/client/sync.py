"""The client of a partner application."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import httpx

from wardlight.client import calls
from wardlight.client.errors import Interrupted
from wardlight.client.feed import LONGEST_WAIT_S, Feed
from wardlight.client.keys import KeyLike, SigningKey
from wardlight.client.model import AuditEntry, Definition, Event, Grant, Recorded
from wardlight.client.multipart import StudyFolder
from wardlight.client.tokens import TokenAuth

if TYPE_CHECKING:
    from dicomweb_client.api import DICOMwebClient

T = TypeVar("T")


class Client:
    """One application at one institution for one purpose. Usable in several threads; close it, or use it in `with`.

    base_url: the platform's address, such as `https://images.example`. client_id: of the application. private_key: see
    `KeyLike`; its public part is registered with the platform. institution: its short name or id. purpose: why the data
    is read, an HL7 v3 PurposeOfUse code such as `TREAT`. scopes: what the token may be used for, all that the
    application has without them. dpop: bind tokens to a key of this client (RFC 9449).
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        private_key: KeyLike,
        *,
        institution: str,
        purpose: str,
        scopes: Sequence[str] = (),
        dpop: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.base_url: Final = calls.base_of(base_url)
        self.auth: Final = TokenAuth(
            self.base_url, client_id, SigningKey(private_key),
            institution=institution, purpose=purpose, scopes=tuple(scopes), dpop=dpop,
        )  # fmt: skip
        self._http: Final = httpx.Client(
            base_url=self.base_url,
            auth=self.auth,
            timeout=calls.TIMEOUT,
            headers=calls.AGENT,
            transport=transport,
        )
        self._closed: Final = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its connections; `events` ends."""
        self._closed.set()
        self._http.close()

    # ---- what there is ----

    def events(self, after: int = 0, *, wait: float = LONGEST_WAIT_S) -> Iterator[Event]:
        """The application's events in their order, each once, without end: it waits for those to come.

        after: position of the last event that was dealt with; keep `event.position` once it is. Each is given at least
        once over all: what was not kept comes again. wait: most seconds that one request waits. Goes on by itself after
        errors that pass.
        """
        feed = Feed(after, wait)
        while not self._closed.is_set():
            try:
                yield from feed.take(self._send(feed.call()))
            except Exception as error:
                if self._closed.is_set():
                    return
                if not calls.is_passing(error):
                    raise
                self._closed.wait(feed.pause(error))

    def acknowledge(self, event: Event) -> None:
        """Tell the platform that the event was acted upon; of a deletion, that nothing is left of the study here."""
        self._ask(calls.acknowledge(event))

    def grant(self, id_: str) -> Grant:
        """What the application may do with the study of a grant. Raises NotFound where it has ended."""
        return self._ask(calls.grant(id_))

    def grants(self) -> list[Grant]:
        """Every grant that the application has now."""
        found, after = self._ask(calls.grants())
        while after:
            page, after = self._ask(calls.grants(after))
            found += page
        return found

    # ---- people ----

    def define(self, definition: Definition) -> int:
        """Register what people of the institution can be told; the same again changes nothing. Returns its version."""
        return self._ask(calls.define(definition))

    def definitions(self) -> list[Definition]:
        """What the application may tell people of the institution."""
        return self._ask(calls.definitions())

    def retire(self, name: str) -> None:
        """Tell nobody of it any more."""
        self._ask(calls.retire(name))

    def notify(
        self,
        name: str,
        values: Mapping[str, int | str] | None = None,
        *,
        grant: str | None = None,
        people: Sequence[str] | None = None,
    ) -> str:
        """Tell the people of the institution who may be told and want it; returns the message's id.

        values: one for each placeholder of the definition that is no name: a number, a time with its zone, an id; never
        anything of a patient. grant: whose study it is about. people: only these, by the id that signing in gives. Not
        sent again by itself where no answer came: people would be told twice.
        """
        return self._send(calls.notify(name, values or {}, grant, people))

    # ---- images ----

    def download(self, study: str, folder: Path | str) -> list[Path]:
        """All files of a study into a new folder: all of them, or none where access ends before the last byte.

        study: Study Instance UID, as a grant names it. Memory does not grow with the study. Raises FileExistsError
        where the folder exists, NotFound, Interrupted.
        """
        try:
            with self._http.stream("GET", calls.study_path(study), headers=calls.ANY_FILE) as answer:
                if answer.status_code >= 400:
                    answer.read()
                calls.require(answer)
                files = StudyFolder(Path(folder), answer.headers.get("content-type", ""))
                try:
                    for data in answer.iter_bytes(calls.PIECE):
                        files.feed(data)
                    return files.finish()
                except BaseException:
                    files.discard()
                    raise
        except httpx.TransportError as error:
            raise Interrupted("the connection ended before the study did") from error

    def store(self, study: str, files: Iterable[Path | bytes]) -> list[str]:
        """Store results on a study: paths or bytes of DICOM files. Returns their SOP Instance UIDs.

        They name study and patient as the study does. Sent again with the same content, an instance is stored once.
        Raises NotStored where one was refused.
        """
        return self._ask(calls.store(study, files))

    def dicomweb(self) -> DICOMwebClient:
        """A client of the package dicomweb-client, with this client's tokens (`pip install wardlight[client]`)."""
        from wardlight.client.dicomweb import dicomweb_client

        return dicomweb_client(self.base_url + calls.DICOMWEB, self.auth)

    # ---- the audit trail ----

    def define_audit(self, codes: Sequence[str], params: Mapping[str, Any]) -> None:
        """Register what entries may say: their codes, and each parameter as `int`, `bool` or a list of its values."""
        self._ask(calls.define_audit(codes, params))

    def record(self, *entries: AuditEntry) -> list[Recorded]:
        """Put entries into the institution's audit trail; tells of each what became of it."""
        found: list[Recorded] = []
        for start in range(0, len(entries), calls.MOST_ENTRIES):
            batch = self._ask(calls.record(entries[start : start + calls.MOST_ENTRIES]))
            found += batch
        return found

    # ---- machine data ----

    def tell(self, records: Iterable[Mapping[str, Any]], *, data_class: str = "log", source: str = "") -> int:
        """Send records of the application's own log, status or configuration; returns in how many something was masked.

        records: `time`, `severity`, `text`, and attributes, as JSON can hold them. data_class: `log`, `status` or
        `configuration`, which the agreement has to name. Not sent again by itself where no answer came.
        """
        return self._send(calls.tell(records, data_class, source))

    # ---- requests ----

    def _ask(self, call: calls.Call[T]) -> T:
        pauses = iter(calls.PAUSES)
        while True:
            try:
                return self._send(call)
            except Exception as error:
                pause = next(pauses, None) if calls.is_passing(error) else None
                if pause is None:
                    raise
                time.sleep(calls.pause_after(error, pause))

    def _send(self, call: calls.Call[T]) -> T:
        return call.result(self._http.request(call.method, call.path, **call.arguments()))
