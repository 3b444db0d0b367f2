"""Cosignatures of the logs' heads: asked of witnesses with a URL, taken from receivers (docs/decisions/0011).

A cosignature is a line of the checkpoint's note. The trail tells of a witness when it cosigns for the first time, when
that changes, and when it fails, not of every line: each would be an entry to be cosigned in its turn.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from wardlight import clock
from wardlight.audit import log_store
from wardlight.audit.actions import Action
from wardlight.audit.log import AuditLog, Checkpoint, Head
from wardlight.audit.model import Actor, Change, Event, Outcome, Target
from wardlight.audit.note import MAX_SIGNATURES, WITNESS, Note, VerifierKey, parse_signature
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Connection, Database
from wardlight.egress import Reply, reason_of
from wardlight.errors import WardlightError
from wardlight.identity.model import Institution, Receiver
from wardlight.trail import witness_store as store
from wardlight.trail.outgoing import check_url, post
from wardlight.trail.witness_store import Witness

#: A witness is asked at most so often, unless somebody waits for it.
PUSH_MS: Final = 60_000
_POLL_S: Final = 0.25
_SYSTEM: Final = Actor("system", "witnesses")
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")

Post = Callable[[str, bytes, str], Reply]


@dataclass(frozen=True, slots=True)
class Teller:
    """On whose behalf an entry about a witness is written."""

    actor: Actor = _SYSTEM
    address: str = ""
    request: str = ""
    token: str = ""


class Witnesses:
    """The witnesses of all logs. `push` is to be called every few seconds."""

    def __init__(
        self, database: Database, recorder: Recorder, audit_log: AuditLog, send: Post = post
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._log = audit_log
        self._post = send

    def add(self, institution: UUID | None, vkey: str, url: str, *, by: Actor) -> Witness:
        """Register a C2SP witness that is pushed to. Raises `bad-request`, `already-exists`."""
        try:
            key = VerifierKey.parse(vkey)
        except ValueError as error:
            raise WardlightError("bad-request", str(error)) from None
        if key.kind != WITNESS:
            raise WardlightError("bad-request", "the key is not a witness's")
        address = check_url(url)
        with self._database.begin(institution) as tx:
            if key.name in store.names(tx, institution):
                raise WardlightError("already-exists", "there is, or was, a witness of this name")
            store.add(tx, institution, key.name, key.text, clock.unix_ms(), url=address)
            change = (Change("witness", after=key.text), Change("url", after=address))
            self._recorder.write(tx, institution, _changed(by, key.name, change))
            return next(one for one in store.active(tx, institution) if one.name == key.name)

    def enrol(self, institution: Institution, receiver: Receiver, public: bytes, *, by: Actor) -> VerifierKey:
        """Register the key by which a receiver witnesses, in the place of the one it has; returns it with its name.

        public: the Ed25519 public key, 32 bytes. A name is given once: `receiver.<slug>/w1`, `…/w2`, and so on.
        """
        with self._database.begin(institution.id) as tx:
            given = store.names(tx, institution.id)
            name = next(
                name
                for number in range(1, len(given) + 2)
                if (name := f"receiver.{institution.slug}/w{number}") not in given
            )
            key = VerifierKey(name, WITNESS, public)
            before = store.of_receiver(tx, receiver.id)
            if before is not None:
                store.end(tx, before.id, clock.unix_ms())
            store.add(tx, institution.id, name, key.text, clock.unix_ms(), receiver=receiver.id)
            action = Action.IDENTITY_RECEIVER_ROTATE_KEY if before else Action.IDENTITY_RECEIVER_ENROL
            change = Change("witness", before.vkey if before else None, key.text)
            event = Event(action, by, target=Target("receiver", id=receiver.id), change=(change,))
            self._recorder.write(tx, institution.id, event)
        return key

    def remove(self, institution: UUID | None, name: str, *, by: Actor) -> None:
        """Ask this witness no more. Raises `not-found`."""
        with self._database.begin(institution) as tx:
            found = next((one for one in store.active(tx, institution) if one.name == name), None)
            if found is None:
                raise WardlightError("not-found", "there is no witness of this name")
            store.end(tx, found.id, clock.unix_ms())
            self._recorder.write(tx, institution, _changed(by, name, (Change("witness", before=found.vkey),)))

    def active(self, institution: UUID | None) -> list[Witness]:
        """The witnesses that are asked."""
        with self._database.read(institution) as tx:
            return store.active(tx, institution)

    def vkeys(self, institution: UUID | None) -> list[str]:
        """Keys of all witnesses, those too that are asked no more: for the trust file."""
        with self._database.read(institution) as tx:
            return store.vkeys(tx, institution)

    # ---- cosignatures ----

    def take(self, one: Witness, log: Head, size: int, line: str, told: Teller) -> bool:
        """Append a witness's line to the checkpoint of this size; False if it is there already.

        Raises `not-found` where there is no such checkpoint, `bad-request` where the line is not the witness's own over
        it, `conflict` where the note is full. What is refused for the line's sake is in the trail.
        """
        with self._database.begin(one.institution) as tx:
            now = store.by_id(tx, one.id, lock=True)
            if now is None:
                raise WardlightError("not-found", "the witness is asked no more")
            text = store.note(tx, log.log, size)
            if text is None:
                raise WardlightError("not-found", "there is no checkpoint of this size")
            note, key = Note.parse(text), VerifierKey.parse(one.vkey)
            if good := _is_of(key, note, line):
                known = note.signed_by(key)
                if known is None:
                    if len(note.signatures) >= MAX_SIGNATURES:
                        raise WardlightError("conflict", "the checkpoint has as many signatures as it can")
                    store.put_note(tx, log.log, size, f"{text}{line}\n")
                self._cosigned(tx, now, log, size, told)
        if not good:
            self.fail(one, log, size, "bad-cosignature", told)
            raise WardlightError("bad-request", "the line is not this witness's over the checkpoint")
        return known is None

    def fail(self, one: Witness, log: Head, size: int, why: str, told: Teller) -> None:
        """A witness did not cosign: told of when that is new, or for another reason than before."""
        with self._database.begin(one.institution) as tx:
            now = store.by_id(tx, one.id, lock=True)
            if now is None or now.state == why:
                return
            store.failed(tx, one, why)
            event = _event(Action.AUDIT_WITNESS_FAIL, Outcome.FAILED, one, log, size, why, told)
            self._recorder.write(tx, one.institution, event)

    def _cosigned(self, tx: Connection, one: Witness, log: Head, size: int, told: Teller) -> None:
        if one.state != "cosigned" or one.log != log.log:
            event = _event(Action.AUDIT_WITNESS_COSIGN, Outcome.SUCCESS, one, log, size, "", told)
            self._recorder.write(tx, one.institution, event)
        # An older head that is cosigned late does not take it back.
        newest = max(size, one.size) if one.log == log.log else size
        store.cosigned(tx, one, log.log, newest, clock.unix_ms())

    # ---- asking ----

    def push(self) -> int:
        """Ask the witnesses with a URL whose turn it is; returns how many cosigned."""
        with self._database.read(EVERYWHERE) as tx:
            due = store.pushed(tx)
        return sum(self._push(one) for one in due)

    def ask(self, institution: UUID | None, wait_s: float = 10.0) -> bool:
        """Have the newest head cosigned, as for an export; whether some witness did so in time."""
        with self._database.begin(institution) as tx:
            store.want(tx, institution, clock.unix_ms())
        log, newest = self._newest(institution)
        if newest is None:
            return False
        for one in self.active(institution):
            if one.url:
                self._push(one)
        deadline = time.monotonic() + wait_s
        while True:
            known = self.active(institution)
            if any(one.log == log.log and one.size >= newest.size for one in known):
                return True
            if not any(one.receiver for one in known) or time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)

    def _newest(self, institution: UUID | None) -> tuple[Head, Checkpoint | None]:
        log = self._log.logs(institution)[-1]
        with self._database.read(institution) as tx:
            return log, log_store.newest_checkpoint(tx, log.log)

    def _push(self, one: Witness) -> bool:
        log, newest = self._newest(one.institution)
        old = one.size if one.log == log.log else 0
        now = clock.unix_ms()
        if newest is None or (one.log == log.log and old >= newest.size):
            return False
        if now - one.tried_ms < PUSH_MS and not (one.wanted and one.state in ("", "cosigned")):
            return False
        with self._database.begin(one.institution) as tx:
            if not store.claim(tx, one, now):
                return False
        why = self._submit(one, log, newest, old)
        if why:
            self.fail(one, log, newest.size, why, Teller())
        return not why

    def _submit(self, one: Witness, log: Head, newest: Checkpoint, old: int) -> str:
        """Send the head, from the size that the witness has; returns why it was not cosigned."""
        url = f"{one.url}/add-checkpoint"
        for again in (True, False):
            try:
                proof = self._log.consistency(log, old, newest.size)
                reply = self._post(url, _request(old, proof, newest.note), "text/plain")
            except OSError as error:
                return reason_of(error)
            size = _SIZE.fullmatch(reply.body) if reply.media_type == "text/x.tlog.size" else None
            if reply.status != 409 or size is None or not again:
                break
            if int(size[1]) > newest.size:
                return "witness-ahead"
            old = int(size[1])
        if reply.status != 200:
            return f"http-{reply.status}"
        try:
            lines = reply.body.decode().split("\n")[:-1]
        except UnicodeDecodeError:
            return "bad-cosignature"
        key, note = VerifierKey.parse(one.vkey), Note.parse(newest.note)
        line = next((line for line in lines[:MAX_SIGNATURES] if _is_of(key, note, line)), None)
        if line is None:
            return "bad-cosignature"
        try:
            self.take(one, log, newest.size, line, Teller())
        except WardlightError as error:
            return error.code
        return ""


def proof_lines(proof: list[bytes]) -> list[str]:
    """Hashes as text."""
    return [b64encode(one).decode() for one in proof]


def _request(old: int, proof: list[bytes], note: str) -> bytes:
    """The body of add-checkpoint (c2sp.org/tlog-witness)."""
    return "".join(f"{line}\n" for line in (f"old {old}", *proof_lines(proof), "")).encode() + note.encode()


def _is_of(key: VerifierKey, note: Note, line: str) -> bool:
    try:
        signature = parse_signature(line)
    except ValueError:
        return False
    return (
        (signature.name, signature.key_id) == (key.name, key.key_id)
        and len(signature.data) == 72
        and any(signature.data[:8])
        and key.verify(note.body, signature.data)
    )


def _changed(by: Actor, name: str, change: tuple[Change, ...]) -> Event:
    return Event(Action.AUDIT_WITNESS_CHANGE, by, target=Target("witness", id=name), change=change)


def _event(
    action: Action, outcome: Outcome, one: Witness, log: Head, size: int, why: str, told: Teller
) -> Event:
    return Event(
        action,
        told.actor,
        outcome=outcome,
        target=Target("witness", id=one.name),
        reason=why,
        address=told.address,
        request=told.request,
        token=told.token,
        detail={"origin": log.origin, "size": size},
    )
