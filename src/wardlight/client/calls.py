"""What each call sends and how its answer is read, the same for the client and the asynchronous one."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from wardlight.client.errors import ApiError, NotStored, RateLimited, Unavailable, error_of
from wardlight.client.model import AuditEntry, Definition, Event, Grant, Recorded
from wardlight.client.multipart import FilesBody

T = TypeVar("T")

API: Final = "/api/v1"
_DEFINITIONS: Final = f"{API}/notification-definitions"
DICOMWEB: Final = "/dicom-web"
#: Most entries that the platform takes in one request (audit.md section 6).
MOST_ENTRIES: Final = 100
#: Grants that are asked for at a time.
PAGE: Final = 500

#: Any transfer syntax: files come as they are stored.
ANY_FILE: Final = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}

#: Seconds to connect, and to wait for the next byte of an answer.
TIMEOUT: Final = httpx.Timeout(30.0, read=90.0)
#: Seconds between tries of what may be tried again; the platform's Retry-After goes before.
PAUSES: Final = (0.5, 2.0, 8.0)
_LONGEST_PAUSE: Final = 60.0
_MODULE: Final = "application/dicom+json"
_PROCESSING_FAILURE: Final = 0x0110
#: Bytes of a download that are in memory at a time.
PIECE: Final = 1 << 20
AGENT: Final = {"User-Agent": "wardlight-client"}


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request and its answer; it may be sent again without harm.

    read: makes the result of the answer, or raises ApiError.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Any = None
    body: FilesBody | None = None
    lines: bytes | None = None
    accept: str = "application/json"

    def result(self, answer: httpx.Response) -> T:
        """What the answer says. Raises ApiError, also where it is not what the platform answers."""
        try:
            return self.read(answer)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ApiError(
                answer.status_code, "unknown", "the answer is not one of the platform's"
            ) from error

    def arguments(self) -> dict[str, Any]:
        """What httpx's `request` takes beside method and path."""
        found: dict[str, Any] = {"params": dict(self.params), "headers": {"Accept": self.accept}}
        if self.body is not None:
            found["content"] = self.body
            found["headers"]["Content-Type"] = self.body.content_type
        elif self.lines is not None:
            found["content"] = self.lines
            found["headers"]["Content-Type"] = "application/x-ndjson"
        elif self.json is not None:
            found["json"] = self.json
        return found


def base_of(base_url: str) -> str:
    """The platform's address without a slash at its end. Raises ValueError where a key or token would go in clear."""
    parts = urlsplit(base_url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise ValueError("the platform is reached by https, or by http on this machine only")
    return base_url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_passing(error: Exception) -> bool:
    """Whether what failed may succeed when it is tried again."""
    return isinstance(error, RateLimited | Unavailable | httpx.TransportError)


def pause_after(error: Exception, usual: float) -> float:
    """Seconds until it is worth trying again."""
    asked = error.retry_after if isinstance(error, ApiError) else 0.0
    return min(max(asked, usual), _LONGEST_PAUSE)


def require(answer: httpx.Response) -> httpx.Response:
    """The answer, if it is a good one; its body must have been read. Raises ApiError."""
    if answer.status_code >= 400:
        raise error_of(answer)
    return answer


def study_path(study: str) -> str:
    """Where a study is read, and results on it are stored."""
    return f"{DICOMWEB}/studies/{quote(study, safe='')}"


def _json(answer: httpx.Response) -> Any:
    return require(answer).json()


# ---- calls ----


def events(after: int, wait: float) -> Call[tuple[list[Event], int]]:
    """Events behind a position, at once or when there are some; and the position to go on from."""

    def read(answer: httpx.Response) -> tuple[list[Event], int]:
        page = _json(answer)
        return [Event.of(row) for row in page["events"]], int(page["next"])

    return Call("GET", f"{API}/events", read, params={"after": after, "wait": int(wait)})


def acknowledge(event: Event) -> Call[None]:
    """That an event was acted upon."""
    return Call("POST", f"{API}/events/{quote(event.id, safe='')}/acknowledge", _nothing, json={})


def grant(id_: str) -> Call[Grant]:
    """One grant."""
    return Call("GET", f"{API}/grants/{quote(id_, safe='')}", lambda answer: Grant.of(_json(answer)))


def grants(after: str = "") -> Call[tuple[list[Grant], str]]:
    """A page of grants behind one, and the last one's id where there are more."""

    def read(answer: httpx.Response) -> tuple[list[Grant], str]:
        page = _json(answer)
        return [Grant.of(row) for row in page["grants"]], str(page.get("next", ""))

    return Call("GET", f"{API}/grants", read, params={"limit": PAGE} | ({"after": after} if after else {}))


def define(definition: Definition) -> Call[int]:
    """Register what people can be told."""
    return Call("POST", _DEFINITIONS, lambda answer: int(_json(answer)["version"]), json=definition.members())


def definitions() -> Call[list[Definition]]:
    """What people can be told."""

    def read(answer: httpx.Response) -> list[Definition]:
        return [Definition.of(row) for row in _json(answer)["definitions"]]

    return Call("GET", _DEFINITIONS, read)


def retire(name: str) -> Call[None]:
    """Tell nobody of it any more."""
    return Call("DELETE", f"{_DEFINITIONS}/{quote(name, safe='')}", _nothing)


def notify(
    name: str, values: Mapping[str, int | str], grant: str | None, people: Sequence[str] | None
) -> Call[str]:
    """Tell people; not to be sent again by itself."""
    body: dict[str, Any] = {"values": dict(values)}
    if grant is not None:
        body["grant"] = grant
    if people is not None:
        body["people"] = list(people)
    path = f"{_DEFINITIONS}/{quote(name, safe='')}/send"
    return Call("POST", path, lambda answer: str(_json(answer)["id"]), json=body)


def record(entries: Sequence[AuditEntry]) -> Call[list[Recorded]]:
    """Entries for the trail; each has an id, so that it is recorded once."""

    def read(answer: httpx.Response) -> list[Recorded]:
        return [Recorded.of(row) for row in _json(answer)["entries"]]

    return Call("POST", f"{API}/audit/entries", read, json={"entries": [one.members() for one in entries]})


def tell(records: Iterable[Mapping[str, Any]], data_class: str, source: str) -> Call[int]:
    """Machine data; not to be sent again by itself."""
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in records).encode()
    params = {"class": data_class} | ({"source": source} if source else {})
    return Call(
        "POST",
        f"{API}/machine-data",
        lambda answer: int(_json(answer)["masked"]),
        params=params,
        lines=lines,
    )


def define_audit(codes: Sequence[str], params: Mapping[str, Any]) -> Call[None]:
    """Register what entries may say."""
    body = {"codes": list(codes), "params": {name: _kind(value) for name, value in params.items()}}
    return Call("PUT", f"{API}/audit/definition", _nothing, json=body)


def _kind(value: Any) -> Any:
    names = {int: "integer", bool: "boolean"}
    return names[value] if value in (int, bool) else list(value)


def _nothing(answer: httpx.Response) -> None:
    require(answer)


def store(study: str, files: Iterable[Path | bytes]) -> Call[list[str]]:
    """Store instances of a study (PS3.18 section 10.5)."""
    return Call("POST", study_path(study), _stored, body=FilesBody(files), accept=_MODULE)


def _stored(answer: httpx.Response) -> list[str]:
    # 409 says why of each instance, in the form of 200 and 202, where none was stored.
    if not answer.headers.get("content-type", "").startswith(_MODULE):
        require(answer)
    module = answer.json()
    failed = {
        _first(item, "00081155", f"#{number}"): _first(item, "00081197", _PROCESSING_FAILURE)
        for tag in ("00081198", "0008119A")
        for number, item in enumerate(module.get(tag, {}).get("Value", ()), 1)
    }
    if failed:
        raise NotStored(failed)
    return [_first(item, "00081155", "") for item in module.get("00081199", {}).get("Value", ())]


def _first(item: Mapping[str, Any], tag: str, absent: Any) -> Any:
    values = item.get(tag, {}).get("Value") or [absent]
    return values[0]
