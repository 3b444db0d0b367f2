"""Hands results of one application to another whose agreement names it: collected, made anew, stored, one by one."""

from __future__ import annotations

import re
import secrets as stdlib_secrets
import threading
from pathlib import Path
from typing import Any, Final

from wardlight import log
from wardlight.audit.actions import Action
from wardlight.deid.restore import NotRestored
from wardlight.identity.model import TokenScope
from wardlight.receiver.anew import Maker
from wardlight.receiver.credential import enrolled
from wardlight.receiver.entries import Entries
from wardlight.receiver.exchange import Exchange, ExchangeError
from wardlight.receiver.model import HANDOVERS_NOTE, Level, Target
from wardlight.receiver.protect import NotReleased
from wardlight.receiver.setbacks import Backoff
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.upload import Platform, Trouble, UnreadableObject, UploadError
from wardlight.receiver.vault import Vault

PATH: Final = "/api/v1/receiver/handovers"
#: What the tokens of this part of the receiver are for, and no others.
SCOPE: Final = TokenScope.RECEIVER_COLLECT.value
#: How often the platform is asked, in seconds.
EVERY_S: Final = 5.0
#: Larger results stay where they are: one is in memory whole, restored, and nowhere else.
LARGEST: Final = 256 << 20
_ID: Final = re.compile(r"[0-9a-f]{32}")
_REASON: Final = re.compile(r"[^a-z0-9:-]+")
#: The same instance is there with other content.
_DUPLICATE: Final = 0x0111


class Handing:
    """One thread with its own connections.

    exchange: collects. platform: stores, with a token for that. place: the receiver's secrets folder.
    """

    def __init__(
        self,
        exchange: Exchange,
        platform: Platform,
        maker: Maker,
        vault: Vault,
        store: ReceiverStore,
        entries: Entries,
        stop: threading.Event,
        place: Path,
    ) -> None:
        self._exchange = exchange
        self._platform = platform
        self._maker = maker
        self._vault = vault
        self._store = store
        self._entries = entries
        self._stop = stop
        self._place = place
        self._backoff = Backoff()
        self._noted = ""

    def run(self) -> None:
        """Work until told to stop."""
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                pause = EVERY_S
                if enrolled(self._place) is None:
                    # A token that was put in place stores, and collects nothing.
                    continue
                self.work()
                self._note("ok")
                self._backoff.reset()
            except (ExchangeError, UploadError) as error:
                self._note(error.code)
                pause = self._backoff.next(EVERY_S)
            except Exception as error:  # noqa: BLE001 - a database that is away, or an answer nobody thought of
                log.error("receiver.handing_waits", error)
                pause = self._backoff.next(EVERY_S)
        self._exchange.close()
        self._platform.close()

    def work(self) -> int:
        """Hand over all that waits; returns how many there were. Raises ExchangeError, UploadError."""
        rows = self._exchange.get(PATH).get("handovers")
        if not isinstance(rows, list):
            raise ExchangeError("bad-answer")
        for row in rows:
            if self._stop.is_set():
                break
            self._one(row)
        return len(rows)

    def _one(self, row: Any) -> None:
        try:
            id_, handed_out, size = str(row["id"]), bool(row["handed_out"]), int(row["bytes"])
            source = Target(str(row["application"]), Level(row["release_level"]))
            recipient = Target(str(row["recipient"]), Level(row["level"]))
        except (KeyError, TypeError, ValueError):
            raise ExchangeError("bad-answer") from None
        if not _ID.fullmatch(id_):
            raise ExchangeError("bad-answer")
        if handed_out:
            # It was taken, and then something broke, here or on the way.
            self._settle(id_, "")
        elif size > LARGEST:
            self._settle(id_, "too-large")
        else:
            data = self._exchange.fetch(f"{PATH}/{id_}", LARGEST)
            reason = self._hand_over(id_, data, source, recipient)
            if reason:
                self._settle(id_, reason)

    def _hand_over(self, id_: str, data: bytes, source: Target, recipient: Target) -> str:
        """Store for the recipient what is made of the result; returns why it never will be, or ""."""
        request = stdlib_secrets.token_hex(16)
        try:
            made, study = self._maker.make(data, source, recipient)
        except (NotRestored, NotReleased) as refusal:
            code = refusal.code if isinstance(refusal, NotRestored) else "quarantined"
            self._store.append([self._entries.made_anew(None, recipient, request, code)])
            return _plain(code)
        if made.way is not None:
            self._vault.keep([made.way])
        self._store.append([self._entries.made_anew(study, recipient, request)])
        try:
            answer = self._platform.store(recipient, "", [made.outgoing], request, handover=id_)
        except UnreadableObject as error:
            return _plain(error.cause.reason or error.cause.code)
        except UploadError as error:
            if error.trouble in (Trouble.FORBIDDEN, Trouble.REFUSED):
                return _plain(error.code or error.trouble.value)
            raise
        failure = answer.get(made.outgoing.sop_uid)
        if failure:
            return "instance-conflict" if failure == _DUPLICATE else f"platform-{failure:04x}"
        if failure is None:
            return "platform-no-answer"
        uploaded = self._entries.study(
            Action.RECEIVER_STUDY_UPLOAD, study, recipient, {"instances": 1}, request=request
        )
        self._store.append([uploaded])
        return ""

    def _settle(self, id_: str, reason: str) -> None:
        body = f'{{"reason":"{reason}"}}' if reason else "{}"
        self._exchange.post(f"{PATH}/{id_}/settle", body.encode())

    def _note(self, value: str) -> None:
        if value != self._noted:
            self._store.note(HANDOVERS_NOTE, value)
            self._noted = value


def _plain(code: str) -> str:
    """A reason as the platform takes it: never a value, and no tags."""
    return _REASON.sub("-", code.partition("(")[0].strip().lower()).strip("-:")[:40] or "refused"
