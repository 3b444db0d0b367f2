"""The client of a partner application, for asyncio: as `Client`, with `await`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx

from wardlight.client import calls
from wardlight.client.errors import Interrupted
from wardlight.client.feed import LONGEST_WAIT_S, Feed
from wardlight.client.keys import KeyLike, SigningKey
from wardlight.client.model import AuditEntry, Definition, Event, Grant, Recorded
from wardlight.client.multipart import AsyncFilesBody, StudyFolder
from wardlight.client.tokens import TokenAuth

T = TypeVar("T")


class AsyncClient:
    """One application at one institution for one purpose; what each argument and method means, `Client` says.

    For dicomweb-client, which is not asynchronous, use `Client` in a thread.
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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url: Final = calls.base_of(base_url)
        auth = TokenAuth(
            self.base_url, client_id, SigningKey(private_key),
            institution=institution, purpose=purpose, scopes=tuple(scopes), dpop=dpop,
        )  # fmt: skip
        self._http: Final = httpx.AsyncClient(
            base_url=self.base_url, auth=auth, timeout=calls.TIMEOUT, headers=calls.AGENT, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End its connections."""
        await self._http.aclose()

    async def events(self, after: int = 0, *, wait: float = LONGEST_WAIT_S) -> AsyncIterator[Event]:
        """The application's events in their order, each once, without end."""
        feed = Feed(after, wait)
        while True:
            try:
                found = await self._send(feed.call())
            except Exception as error:
                if not calls.is_passing(error):
                    raise
                await asyncio.sleep(feed.pause(error))
                continue
            for event in feed.take(found):
                yield event

    async def acknowledge(self, event: Event) -> None:
        """Tell the platform that the event was acted upon."""
        await self._ask(calls.acknowledge(event))

    async def grant(self, id_: str) -> Grant:
        """What the application may do with the study of a grant."""
        return await self._ask(calls.grant(id_))

    async def grants(self) -> list[Grant]:
        """Every grant that the application has now."""
        found, after = await self._ask(calls.grants())
        while after:
            page, after = await self._ask(calls.grants(after))
            found += page
        return found

    async def define(self, definition: Definition) -> int:
        """Register what people of the institution can be told; returns its version."""
        return await self._ask(calls.define(definition))

    async def definitions(self) -> list[Definition]:
        """What the application may tell people of the institution."""
        return await self._ask(calls.definitions())

    async def retire(self, name: str) -> None:
        """Tell nobody of it any more."""
        await self._ask(calls.retire(name))

    async def notify(
        self,
        name: str,
        values: Mapping[str, int | str] | None = None,
        *,
        grant: str | None = None,
        people: Sequence[str] | None = None,
    ) -> str:
        """Tell the people of the institution who may be told and want it; returns the message's id."""
        return await self._send(calls.notify(name, values or {}, grant, people))

    async def download(self, study: str, folder: Path | str) -> list[Path]:
        """All files of a study into a new folder, or none."""
        path = calls.study_path(study)
        try:
            async with self._http.stream("GET", path, headers=calls.ANY_FILE) as answer:
                if answer.status_code >= 400:
                    await answer.aread()
                calls.require(answer)
                files = StudyFolder(Path(folder), answer.headers.get("content-type", ""))
                try:
                    async for data in answer.aiter_bytes(calls.PIECE):
                        await asyncio.to_thread(files.feed, data)
                    return await asyncio.to_thread(files.finish)
                except BaseException:
                    files.discard()
                    raise
        except httpx.TransportError as error:
            raise Interrupted("the connection ended before the study did") from error

    async def store(self, study: str, files: Iterable[Path | bytes]) -> list[str]:
        """Store results on a study; returns their SOP Instance UIDs."""
        return await self._ask(calls.store(study, files))

    async def define_audit(self, codes: Sequence[str], params: Mapping[str, Any]) -> None:
        """Register what entries of the audit trail may say."""
        await self._ask(calls.define_audit(codes, params))

    async def record(self, *entries: AuditEntry) -> list[Recorded]:
        """Put entries into the institution's audit trail."""
        found: list[Recorded] = []
        for start in range(0, len(entries), calls.MOST_ENTRIES):
            batch = await self._ask(calls.record(entries[start : start + calls.MOST_ENTRIES]))
            found += batch
        return found

    async def tell(
        self, records: Iterable[Mapping[str, Any]], *, data_class: str = "log", source: str = ""
    ) -> int:
        """As `Client.tell`."""
        return await self._send(calls.tell(records, data_class, source))

    async def _ask(self, call: calls.Call[T]) -> T:
        pauses = iter(calls.PAUSES)
        while True:
            try:
                return await self._send(call)
            except Exception as error:
                pause = next(pauses, None) if calls.is_passing(error) else None
                if pause is None:
                    raise
                await asyncio.sleep(calls.pause_after(error, pause))

    async def _send(self, call: calls.Call[T]) -> T:
        arguments = call.arguments()
        if call.body is not None:
            arguments["content"] = AsyncFilesBody(call.body)
        return call.result(await self._http.request(call.method, call.path, **arguments))
