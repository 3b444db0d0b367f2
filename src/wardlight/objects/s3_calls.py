"""The S3 calls that obstore has not: versions of an object, unfinished uploads, whether a bucket keeps versions.

Signed by AWS Signature Version 4, path style. What is sent and answered is never logged: it holds names and keys.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import Element

from wardlight.errors import WardlightError

_EMPTY: Final = hashlib.sha256(b"").hexdigest()
#: A listing holds at most 1,000 entries of some 500 bytes.
_MOST_BYTES: Final = 4 << 20
_NOT_S3: Final = "object storage sent an answer that is not S3's"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of an account that may read, write, list and delete below one prefix of one bucket."""

    access_key: str
    secret: str
    session: str = ""

    def __repr__(self) -> str:
        return "<credentials>"


def read_credentials(file: Path | None, environment: Mapping[str, str]) -> Credentials:
    """From a file in the form of `~/.aws/credentials`, section `default`, else from AWS_* variables.

    Raises `WardlightError("bad-request")` where there are none.
    """
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    if file is None:
        values = {name: environment.get(name.upper(), "") for name in names}
    else:
        try:
            text = file.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise WardlightError(
                "bad-request", f"s3.credentials_file cannot be read ({type(error).__name__})"
            ) from None
        section = re.split(r"(?m)^\s*\[default\]\s*$", text)[-1].split("\n[", 1)[0]
        values = dict(re.findall(r"(?m)^\s*(aws_[a-z_]+)\s*=\s*(\S+)\s*$", section))
    access_key, secret, session = (values.get(name, "") for name in names)
    if not access_key or not secret:
        raise WardlightError(
            "bad-request",
            "there are no credentials for objects_url: set s3.credentials_file, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY",
        )
    return Credentials(access_key, secret, session)


class S3Calls:
    """Calls on one bucket. Makes a connection a call, as they are few; threads may share it."""

    def __init__(
        self,
        endpoint: str,
        bucket: str,
        region: str,
        credentials: Credentials,
        *,
        timeout_s: float,
        authorities: Path | None = None,
    ) -> None:
        parts = urlsplit(endpoint)
        self._secure = parts.scheme == "https"
        self._host = parts.netloc
        self._base = f"{parts.path.rstrip('/')}/{bucket}"
        self._region = region
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context(cafile=authorities) if self._secure else None

    def keeps_versions(self) -> bool:
        """Whether the bucket keeps versions, or has kept some."""
        try:
            answer = self._call("GET", "", {"versioning": ""})
        except _Refused as refused:
            if refused.status in (404, 405, 501):  # A server that does not know of versions.
                return False
            raise refused.told() from None
        return _text(_parsed(answer), "Status") in ("Enabled", "Suspended")

    def delete_versions(self, key: str) -> None:
        """Delete an object in all versions, delete markers too."""
        for _round in range(1000):
            found = _parsed(self._told("GET", "", {"versions": "", "prefix": key}))
            versions = [
                _text(entry, "VersionId")
                for name in ("Version", "DeleteMarker")
                for entry in _each(found, name)
                if _text(entry, "Key") == key
            ]
            if not versions:
                return
            for version in versions:
                self._told("DELETE", key, {"versionId": version})
        raise WardlightError("unavailable", "object storage does not forget an object's versions")

    def uploads(self, prefix: str) -> Iterator[tuple[str, str, datetime]]:
        """Unfinished uploads below a prefix: key, upload id, when it began."""
        marker: dict[str, str] = {}
        while True:
            found = _parsed(self._told("GET", "", {"uploads": "", "prefix": prefix, **marker}))
            for entry in _each(found, "Upload"):
                yield _text(entry, "Key"), _text(entry, "UploadId"), _time(_text(entry, "Initiated"))
            following = {
                "key-marker": _text(found, "NextKeyMarker"),
                "upload-id-marker": _text(found, "NextUploadIdMarker"),
            }
            if _text(found, "IsTruncated") != "true" or not following["key-marker"]:
                return
            if following == marker:
                raise WardlightError("unavailable", _NOT_S3)
            marker = following

    def abort(self, key: str, upload: str) -> None:
        """Forget an unfinished upload; does nothing where it is gone."""
        try:
            self._call("DELETE", key, {"uploadId": upload})
        except _Refused as refused:
            if refused.status != 404:
                raise refused.told() from None

    def _told(self, method: str, key: str, query: Mapping[str, str]) -> bytes:
        try:
            return self._call(method, key, query)
        except _Refused as refused:
            raise refused.told() from None

    def _call(self, method: str, key: str, query: Mapping[str, str]) -> bytes:
        path = quote(f"{self._base}/{key}" if key else self._base)
        asked = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
        kind: type[http.client.HTTPConnection] = http.client.HTTPConnection
        options: dict[str, object] = {}
        if self._tls:
            kind, options = http.client.HTTPSConnection, {"context": self._tls}
        connection = kind(self._host, timeout=self._timeout_s, **options)  # type: ignore[arg-type]
        try:
            connection.request(method, f"{path}?{asked}", headers=self._signed(method, path, asked))
            answer = connection.getresponse()
            body = answer.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise WardlightError(
                "unavailable", f"object storage cannot be reached ({type(error).__name__})"
            ) from None
        finally:
            connection.close()
        if answer.status >= 300:
            raise _Refused(answer.status)
        return body

    def _signed(self, method: str, path: str, asked: str) -> dict[str, str]:
        """Headers with the signature (AWS Signature Version 4 of a request without body)."""
        now = datetime.now(UTC)
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        headers = {"host": self._host, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
        if self._credentials.session:
            headers["x-amz-security-token"] = self._credentials.session
        names = ";".join(sorted(headers))
        listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        canonical = "\n".join((method, path, asked, listed, names, _EMPTY))
        scope = f"{day}/{self._region}/s3/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self._credentials.secret}".encode()
        for part in (day, self._region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        credential = f"{self._credentials.access_key}/{scope}"
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}"
        )
        return headers


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def told(self) -> WardlightError:
        return WardlightError("unavailable", f"object storage answered {self.status}")


def _parsed(body: bytes) -> Element:
    # A document type could define entities that grow without bound; S3 sends none.
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise WardlightError("unavailable", _NOT_S3)
    from xml.etree.ElementTree import ParseError, fromstring

    try:
        return fromstring(body)  # noqa: S314 - without entities, and of bounded size
    except ParseError:
        raise WardlightError("unavailable", _NOT_S3) from None


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise WardlightError("unavailable", _NOT_S3) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _each(found: Element, name: str) -> Iterator[Element]:
    return found.iterfind(f"{{*}}{name}")


def _text(found: Element, name: str) -> str:
    return found.findtext(f"{{*}}{name}") or ""
