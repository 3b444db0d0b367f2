"""What a receiver's witness asks and gives: the newest head with its proof, and a cosignature (decisions/0011).

GET /api/v1/audit/log/witness, POST /api/v1/audit/log/cosignatures. Asking is not an entry of the trail: a receiver asks
every few seconds, and is shown hashes, keys and what the log says of its own keys.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any, Final

from sqlalchemy import Connection

from wardlight.access.model import Operation
from wardlight.audit import log_store, tree
from wardlight.audit.actions import Action
from wardlight.audit.log import Head
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of
from wardlight.trail import witness_store as store
from wardlight.trail.call import ApiCall, answer
from wardlight.trail.witnesses import Teller, Witnesses, proof_lines

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")


def offer(call: ApiCall) -> Answer:
    """The next head to be cosigned by who holds the tree of `size` of the log `origin`; without both, the newest.

    `rotation` goes along where the log changed its key after `size`: the head is then the first that covers that entry,
    and both keys have signed it. `next` goes along where the log has ended and its last head is known already: the
    first head of the generation after it, and the entry that opens it.
    """
    call.scope.require(Operation.AUDIT_SEND)
    if not call.query.keys() <= {"origin", "size"}:
        raise WardlightError("bad-request", "only origin and size can be asked for")
    origin, number = call.query.get("origin", ""), call.query.get("size", "0")
    if not _NUMBER.fullmatch(number):
        raise WardlightError("bad-request", "size is a number")
    size = int(number)
    logs = call.parts.audit_log.logs(call.scope.institution)
    log = next((one for one in logs if one.origin == origin), None) if origin else logs[-1]
    if log is None:
        raise WardlightError("not-found", "there is no log of this origin")
    with call.parts.database.read(call.scope.institution) as tx:
        found = _head(tx, log, size)
        mine = store.of_receiver(tx, call.scope.principal.id)
        found["wanted"] = mine is not None and mine.wanted
        if log is not logs[-1] and size >= found["size"]:
            found |= _next(tx, logs[logs.index(log) + 1])
    if not origin:
        # The first of its keys: who begins here sees every rotation.
        found["vkey"] = call.parts.audit_log.vkeys(log)[0]
    return answer(found)


def cosign(call: ApiCall) -> Answer:
    """Append the receiver's cosignature to a checkpoint: {origin, size, cosignature: the note's line}."""
    scope = call.scope
    scope.require(Operation.AUDIT_SEND)
    body = call.body
    if body.keys() != {"origin", "size", "cosignature"} or not (
        isinstance(body["origin"], str)
        and type(body["size"]) is int
        and isinstance(body["cosignature"], str)
        and len(body["cosignature"]) <= 1000
        and 0 <= body["size"] < 1 << 53
    ):
        raise WardlightError("bad-request", "the body holds origin, size and cosignature")
    log = next(
        (one for one in call.parts.audit_log.logs(scope.institution) if one.origin == body["origin"]), None
    )
    if log is None:
        raise WardlightError("not-found", "there is no log of this origin")
    with call.parts.database.read(scope.institution) as tx:
        mine = store.of_receiver(tx, scope.principal.id)
    if mine is None:
        raise WardlightError("not-found", "no witness key of this receiver is registered")
    told = Teller(actor_of(scope.principal), scope.address, scope.request, scope.principal.token_ref)
    witnesses = Witnesses(call.parts.database, call.parts.recorder, call.parts.audit_log)
    new = witnesses.take(mine, log, body["size"], body["cosignature"].removesuffix("\n"), told)
    return answer({"status": "recorded" if new else "duplicate"})


def _head(tx: Connection, log: Head, size: int) -> dict[str, Any]:
    newest = log_store.newest_checkpoint(tx, log.log)
    if newest is None:
        raise WardlightError("not-found", "nothing of this log is signed yet")
    read = log_store.tiles(tx, log.log)
    found: dict[str, Any] = {"origin": log.origin}
    rotation = store.next_rotation(tx, log.log, size, Action.AUDIT_LOG_ROTATE_KEY)
    if rotation is not None:
        index, content, newest = rotation
        proof = tree.inclusion(read, index, newest.size)
        found["rotation"] = {"index": index, "entry": _text(content), "proof": proof_lines(proof)}
    proof = tree.consistency(read, size, newest.size) if size <= newest.size else []
    return {**found, "size": newest.size, "note": newest.note, "proof": proof_lines(proof)}


def _next(tx: Connection, log: Head) -> dict[str, Any]:
    """The generation after a log that has ended."""
    newest = log_store.newest_checkpoint(tx, log.log)
    ((_, content),) = log_store.contents(tx, log.log, 0, 1) or [(0, None)]
    if newest is None or content is None:
        return {}
    proof = tree.inclusion(log_store.tiles(tx, log.log), 0, newest.size)
    entry = {"index": 0, "entry": _text(content), "proof": proof_lines(proof)}
    return {"next": {"origin": log.origin, "size": newest.size, "note": newest.note, **entry}}


def _text(content: bytes) -> str:
    return b64encode(content).decode()
