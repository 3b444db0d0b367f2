"""The receiver as a witness: it follows the platform's audit log and cosigns heads that extend what it knows.

Receivers sit behind the hospital's firewall, so this one asks (docs/decisions/0011). What it knows is durable in its
own database before a cosignature leaves. A head that does not go on from there is never cosigned: the receiver says so
in its status and its own trail, and keeps both notes, which together are the proof.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wardlight import clock, log
from wardlight.audit import tree
from wardlight.audit.actions import Action
from wardlight.audit.note import LOG, WITNESS, Note, VerifierKey, cosign
from wardlight.receiver import secrets
from wardlight.receiver.credential import enrolled
from wardlight.receiver.exchange import Exchange, ExchangeError
from wardlight.receiver.followed import FORK, Followed, FollowedLogs
from wardlight.receiver.setbacks import Backoff

OFFER: Final = "/api/v1/audit/log/witness"
COSIGNATURES: Final = "/api/v1/audit/log/cosignatures"
WITNESS_KEY: Final = "/api/v1/receiver/witness-key"
#: How often the platform is asked for its head, and how often a head is cosigned unless somebody waits, in seconds.
POLL_S: Final = 5.0
COSIGN_MS: Final = 60_000
_MAX_PROOF: Final = 64
_MAX_SIZE: Final = 1 << 53


class Refusal(Exception):
    """What was shown does not go on from what is known. code: why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Offer:
    """An answer of the platform, with its parts of the right types."""

    note: Note
    text: str
    proof: tuple[bytes, ...]
    wanted: bool
    rotation: Mapping[str, Any] | None
    next: Mapping[str, Any] | None
    vkey: str


class Witness:
    """One thread with its own connection."""

    def __init__(
        self, exchange: Exchange, logs: FollowedLogs, secrets_dir: Path, stop: threading.Event
    ) -> None:
        self._exchange = exchange
        self._logs = logs
        self._secrets_dir = secrets_dir
        self._stop = stop
        self._backoff = Backoff()

    def run(self) -> None:
        """Work until told to stop."""
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                pause = 0.0 if self.round() else POLL_S
                self._backoff.reset()
            except ExchangeError as error:
                self._logs.state(error.code)
                pause = self._backoff.next(POLL_S)
            except Exception as error:  # noqa: BLE001 - a database that is away, or an answer nobody thought of
                log.error("receiver.witness_waits", error)
                pause = self._backoff.next(POLL_S)
        self._exchange.close()

    def round(self) -> bool:
        """Ask once, and cosign what is due; whether there is more to ask for at once. Raises ExchangeError."""
        if secrets.witness_key(self._secrets_dir) is None and enrolled(self._secrets_dir) is not None:
            self._register()
        held = self._logs.newest() or self._pinned()
        offer = self._ask(held)
        try:
            if held is None:
                held = self._first(offer)
            if offer.next is not None and (following := self._opened(held, offer)):
                self._logs.follow(following)
                return True
            moved = self._advance(held, offer)
        except Refusal as refusal:
            self._alarm(held, offer, refusal.code)
            return False
        self._logs.state(self._give(moved, wanted=offer.wanted))
        return offer.rotation is not None

    def _register(self) -> None:
        """A receiver that enrolled makes its witness key itself, and is told the name that it has among witnesses."""
        seed, public = secrets.new_witness_seed()
        answer = self._exchange.post(
            WITNESS_KEY, json.dumps({"public": base64.b64encode(public).decode()}).encode()
        )
        try:
            key = VerifierKey.parse(answer["vkey"])
            first = answer["log_vkey"] and VerifierKey.parse(answer["log_vkey"]).text
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ExchangeError("bad-answer") from None
        if key != VerifierKey.of(key.name, seed, WITNESS):
            raise ExchangeError("bad-answer")
        secrets.save_witness_key(self._secrets_dir, seed, key.text, first)

    def _pinned(self) -> Followed | None:
        """What was given out when the receiver was made: the log's key, and thereby its origin."""
        key = secrets.log_key(self._secrets_dir)
        return None if key is None else Followed(key.name, key.text)

    def _ask(self, held: Followed | None) -> Offer:
        query = {} if held is None else {"origin": held.origin, "size": str(held.size)}
        answer = self._exchange.get(OFFER, **query)
        try:
            text = answer["note"]
            note = Note.parse(text)
            if note.size >= _MAX_SIZE:
                raise ValueError
            return Offer(
                note,
                text,
                _hashes(answer["proof"]),
                answer.get("wanted") is True,
                _object(answer.get("rotation")),
                _object(answer.get("next")),
                str(answer.get("vkey", "")),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ExchangeError("bad-answer") from None

    def _first(self, offer: Offer) -> Followed:
        """Trust at first sight, where no key was given out: from here on this log is followed."""
        try:
            key = VerifierKey.parse(offer.vkey)
        except ValueError:
            raise ExchangeError("bad-answer") from None
        if key.kind != LOG or key.name != offer.note.origin:
            raise ExchangeError("bad-answer")
        return Followed(key.name, key.text)

    def _advance(self, held: Followed, offer: Offer) -> Followed:
        """The log as it is known now. Raises Refusal."""
        note = offer.note
        key = VerifierKey.parse(held.vkey)
        if note.origin != held.origin:
            raise Refusal("witness-other-log")
        if note.signed_by(key) is not True:
            raise Refusal("witness-bad-signature")
        if note.size < held.size:
            raise Refusal("witness-rollback")
        if not tree.verify_consistency(held.size, note.size, held.root, note.root, offer.proof):
            raise Refusal(FORK)
        vkey = held.vkey if offer.rotation is None else self._rotated(note, offer.rotation)
        return self._logs.advance(held, vkey, note.size, note.root, offer.text)

    def _rotated(self, note: Note, rotation: Mapping[str, Any]) -> str:
        """The key that the log announces in an entry of the tree that both keys have signed."""
        entry = _included(note, rotation)
        key = _announced(entry, note.origin)
        if entry.get("action") != Action.AUDIT_LOG_ROTATE_KEY or note.signed_by(key) is not True:
            raise Refusal("witness-rotation")
        return key.text

    def _opened(self, held: Followed, offer: Offer) -> Followed | None:
        """The generation after this one, if it names the head that is known here; None if it names a later one."""
        assert offer.next is not None
        try:
            note = Note.parse(offer.next["note"])
            entry = _included(note, offer.next)
            key = _announced(entry, note.origin)
            last = (entry["detail"]["origin"], entry["detail"]["size"], entry["detail"]["root"])
        except (KeyError, TypeError, ValueError):
            raise Refusal("witness-continuation") from None
        if entry.get("action") != Action.AUDIT_LOG_CONTINUE or note.signed_by(key) is not True:
            raise Refusal("witness-continuation")
        if not _is_after(held.origin, note.origin):
            raise Refusal("witness-continuation")
        if last == (held.origin, held.size, base64.b64encode(held.root).decode()):
            return Followed(key.name, key.text)
        if last[0] == held.origin and isinstance(last[1], int) and held.size < last[1] <= offer.note.size:
            return None  # First to the end of the generation that is followed.
        raise Refusal("witness-continuation")

    def _give(self, held: Followed, *, wanted: bool) -> str:
        """Cosign the head that is known, where that is due, and hand the line over; a word for how it stands."""
        key = secrets.witness_key(self._secrets_dir)
        if key is None:
            return "no-key"
        soon = clock.unix_ms() - held.cosigned_ms < COSIGN_MS and not wanted
        if held.size <= held.cosigned_size or soon:
            return "ok"
        line = cosign(key.name, key.seed, Note.parse(held.note).body, clock.unix_ms() // 1000)
        body = {"origin": held.origin, "size": held.size, "cosignature": line.removesuffix("\n")}
        answer = self._exchange.post(COSIGNATURES, json.dumps(body, ensure_ascii=False).encode())
        if answer.get("status") not in ("recorded", "duplicate"):
            raise ExchangeError("bad-answer")
        self._logs.cosigned(held)
        return "ok"

    def _alarm(self, held: Followed | None, offer: Offer, code: str) -> None:
        self._logs.state(code)
        if held is not None and self._logs.alarm(held, code, offer.text, offer.note.size):
            log.error("receiver.witness_alarm", reason=code)


def _included(note: Note, shown: Mapping[str, Any]) -> dict[str, Any]:
    """An entry that is shown to be in the note's tree. Raises Refusal."""
    try:
        content = base64.b64decode(shown["entry"], validate=True)
        index, proof = shown["index"], _hashes(shown["proof"])
        entry = json.loads(content)
        right = tree.verify_inclusion(tree.leaf_hash(content), index, note.size, proof, note.root)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise Refusal("witness-entry") from None
    if not right or not isinstance(entry, dict) or entry.get("log") != note.origin:
        raise Refusal("witness-entry")
    return entry


def _announced(entry: Mapping[str, Any], origin: str) -> VerifierKey:
    """The key that an entry about the log's key tells of. Raises Refusal."""
    try:
        key = VerifierKey.parse(entry["detail"]["vkey"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Refusal("witness-entry") from None
    if key.kind != LOG or key.name != origin:
        raise Refusal("witness-entry")
    return key


def _is_after(old: str, new: str) -> bool:
    """Whether this origin is of the next generation of the same log."""
    (before, _, last), (after, _, following) = old.rpartition("/"), new.rpartition("/")
    return before == after and last.isdecimal() and following == str(int(last) + 1)


def _hashes(values: Any) -> tuple[bytes, ...]:
    if not isinstance(values, list) or len(values) > _MAX_PROOF:
        raise ValueError("not a proof")
    found = tuple(base64.b64decode(one, validate=True) for one in values)
    if any(len(one) != tree.HASH_BYTES for one in found):
        raise ValueError("not a proof")
    return found


def _object(value: Any) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise ValueError("not an object")
    return value
