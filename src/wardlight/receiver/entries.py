"""Entries of the receiver's audit trail (audit.md section 1), kept in its pending table until they are shipped.

An entry here has no `log` and no `recorded` yet: the platform adds both when it takes the entry in, and keeps `id`,
`salt` and `time`. Studies are named by references of epoch 0, which are under the receiver's own key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wardlight import clock
from wardlight.agreements.model import Level
from wardlight.audit.actions import Action
from wardlight.audit.canonical import canonical
from wardlight.audit.model import Change, Outcome
from wardlight.audit.references import base64url
from wardlight.db.ids import uuid7
from wardlight.receiver.model import Target

#: Process of the receiver → the actions that it writes.
PROCESSES: Final[Mapping[str, tuple[Action, ...]]] = {
    "supervisor": (Action.PLATFORM_NODE_START, Action.PLATFORM_NODE_STOP, Action.RECEIVER_SETTING_CHANGE),
    "node": (
        Action.RECEIVER_ASSOCIATION_ACCEPT,
        Action.RECEIVER_ASSOCIATION_REJECT,
        Action.RECEIVER_OBJECT_REFUSE,
        Action.RECEIVER_STUDY_RECEIVE,
    ),
    "pipeline": (
        Action.RECEIVER_STUDY_PROTECT,
        Action.RECEIVER_STUDY_VERIFY,
        Action.RECEIVER_STUDY_QUARANTINE,
        Action.RECEIVER_STUDY_UPLOAD,
        Action.RECEIVER_RESULT_REIDENTIFY,
        Action.AUDIT_LOG_ALARM,
    ),
}

_IDENTIFIED: Final = "image:identified"
_PSEUDONYMISED: Final = "image:pseudonymised"


class Entries:
    """Makes entries for one node of the receiver."""

    def __init__(self, node: str) -> None:
        self._node = node

    def association(
        self, called_ae: str, calling_ae: str, address: str, reason: str = "", denied: int = 0
    ) -> bytes:
        """A DICOM peer asked for an association; with a reason it was turned away, `denied` times if given."""
        action = Action.RECEIVER_ASSOCIATION_REJECT if reason else Action.RECEIVER_ASSOCIATION_ACCEPT
        return self._entry(
            action,
            actor=_peer(calling_ae),
            outcome=Outcome.DENIED if reason else Outcome.SUCCESS,
            members={
                "object": {"kind": "route", "id": called_ae},
                "reason": reason,
                "network": _network(address),
            },
            counts={"denied": denied},
        )

    def refused(self, route: str, calling_ae: str, address: str, reason: str, denied: int = 0) -> bytes:
        """A C-STORE was answered with a failure. reason: code of the error catalogue."""
        return self._entry(
            Action.RECEIVER_OBJECT_REFUSE,
            actor=_peer(calling_ae),
            outcome=Outcome.DENIED,
            members={
                "object": {"kind": "route", "id": route},
                "reason": reason,
                "network": _network(address),
            },
            counts={"denied": denied},
        )

    def received(
        self, study: bytes, route: str, calling_ae: str, address: str, instances: int, size: int
    ) -> bytes:
        """Objects of one study are durable in the spool."""
        return self._entry(
            Action.RECEIVER_STUDY_RECEIVE,
            actor=_peer(calling_ae),
            outcome=Outcome.SUCCESS,
            members={
                "object": {"kind": "route", "id": route},
                "subjects": [{"study": reference(study)}],
                "network": _network(address),
                "classes": [_IDENTIFIED],
            },
            counts={"instances": instances, "bytes": size},
        )

    def study(
        self,
        action: Action,
        study: bytes,
        target: Target,
        counts: Mapping[str, int],
        *,
        outcome: Outcome = Outcome.SUCCESS,
        reason: str = "",
        request: str = "",
    ) -> bytes:
        """The receiver did something with objects of one study for one release: protect, verify, upload, quarantine."""
        leaving = target.level is not Level.IDENTIFIED and action is not Action.RECEIVER_STUDY_QUARANTINE
        return self._entry(
            action,
            actor=self._self(),
            outcome=outcome,
            members={
                "behalf": {"kind": "application", "id": target.application},
                "object": {"kind": "study", "ref": reference(study)},
                "subjects": [{"study": reference(study)}],
                "classes": [_PSEUDONYMISED if leaving else _IDENTIFIED],
                "reason": reason,
                "request": request,
            },
            counts=counts,
        )

    def discarded(self, target: Target, quarantine_id: str) -> bytes:
        """The administrator of this machine removed an object from quarantine for good."""
        return self._entry(
            Action.RECEIVER_QUARANTINE_DISCARD,
            actor=_operator(),
            outcome=Outcome.SUCCESS,
            members={
                "behalf": {"kind": "application", "id": target.application},
                "object": {"kind": "quarantine", "id": quarantine_id},
                "classes": [_IDENTIFIED],
            },
        )

    def viewed(self, results: int) -> bytes:
        """The administrator of this machine was shown what is in quarantine, and why."""
        return self._entry(
            Action.RECEIVER_QUARANTINE_VIEW,
            actor=_operator(),
            outcome=Outcome.SUCCESS,
            members={"object": {"kind": "quarantine", "id": "list"}},
            counts={"results": results},
        )

    def reidentified(self, study: bytes | None, target: Target | None, reason: str = "") -> bytes:
        """The administrator of this machine had the patient put back into a result; with a reason it was refused.

        study: token of the original study, and target: of the release, where they are known.
        """
        members: dict[str, Any] = {
            "object": {"kind": "result", "id": "file"},
            "classes": [_IDENTIFIED],
            "reason": reason,
        }
        if target is not None:
            members["behalf"] = {"kind": "application", "id": target.application}
        if study is not None:
            members["object"] = {"kind": "study", "ref": reference(study)}
            members["subjects"] = [{"study": reference(study)}]
        return self._entry(
            Action.RECEIVER_RESULT_REIDENTIFY,
            actor=_operator(),
            outcome=Outcome.DENIED if reason else Outcome.SUCCESS,
            members=members,
            counts={"instances": 1},
        )

    def made_anew(self, study: bytes | None, recipient: Target, request: str, reason: str = "") -> bytes:
        """A result was restored in memory, to be made anew for another application; with a reason it was not."""
        members: dict[str, Any] = {
            "behalf": {"kind": "application", "id": recipient.application},
            "object": {"kind": "result", "id": "handover"},
            "classes": [_IDENTIFIED],
            "reason": reason,
            "request": request,
        }
        if study is not None:
            members["object"] = {"kind": "study", "ref": reference(study)}
            members["subjects"] = [{"study": reference(study)}]
        return self._entry(
            Action.RECEIVER_RESULT_REIDENTIFY,
            actor=self._self(),
            outcome=Outcome.DENIED if reason else Outcome.SUCCESS,
            members=members,
            counts={"instances": 1},
        )

    def vault(
        self, action: Action, part: str, *, results: int = 0, study: bytes | None = None, change: str = ""
    ) -> bytes:
        """The administrator of this machine read, exported, erased or changed what the vault holds.

        part: `vault` or `domain`. study: token of the one that was erased. change: what changed, as a path.
        """
        return self._entry(
            action,
            actor=_operator(),
            outcome=Outcome.SUCCESS,
            members={
                "object": {"kind": part, "id": "local"},
                "subjects": [{"study": reference(study)}] if study is not None else [],
                "change": [{"path": change}] if change else [],
            },
            counts={"results": results},
        )

    def process(self, action: Action, changes: Sequence[dict[str, str]] = ()) -> bytes:
        """The receiver starts or stops, or has other settings than when it started last."""
        return self._entry(
            action,
            actor=self._self(),
            outcome=Outcome.SUCCESS,
            members={"object": {"kind": "node", "id": self._node}, "change": list(changes)},
        )

    def alarm(self, origin: str, held: int, offered: int, reason: str) -> bytes:
        """The platform shows a log that does not go on from the one this receiver has cosigned.

        held: size of the tree cosigned last. offered: size of the one that was shown.
        """
        return self._entry(
            Action.AUDIT_LOG_ALARM,
            actor=self._self(),
            outcome=Outcome.FAILED,
            members={
                "object": {"kind": "log", "id": origin},
                "reason": reason,
                "detail": {"origin": origin, "size": offered, "signed": held},
            },
        )

    def route(self, action: Action, called_ae: str, changes: list[dict[str, str]]) -> bytes:
        """The administrator of this machine made, changed or deleted a route."""
        return self._entry(
            action,
            actor=_operator(),
            outcome=Outcome.SUCCESS,
            members={"object": {"kind": "route", "id": called_ae}, "change": changes},
        )

    def _self(self) -> dict[str, str]:
        return {"kind": "system", "id": self._node}

    def _entry(
        self,
        action: Action,
        *,
        actor: dict[str, str],
        outcome: Outcome,
        members: Mapping[str, Any],
        counts: Mapping[str, int] | None = None,
    ) -> bytes:
        entry: dict[str, Any] = {
            "v": 1,
            "id": str(uuid7()),
            "salt": base64url(os.urandom(16)),
            "time": clock.timestamp(),
            "node": self._node,
            "source": "receiver",
            "action": action.value,
            "actor": actor,
            "outcome": outcome.value,
        }
        entry.update({name: value for name, value in members.items() if value})
        present = {name: number for name, number in (counts or {}).items() if number}
        if present:
            entry["counts"] = present
        return canonical(entry)


def plain_changes(changes: Sequence[Change]) -> list[dict[str, str]]:
    """Changes as an entry has them."""
    found = []
    for change in changes:
        sides = {"before": change.before, "after": change.after}
        found.append({"path": change.path} | {name: str(side) for name, side in sides.items() if side})
    return found


def reference(study: bytes) -> str:
    """The study's reference under the receiver's own key, which has epoch 0."""
    return f"s0.{base64url(study)}"


def _peer(calling_ae: str) -> dict[str, str]:
    # Without TLS a DICOM peer has no identity but what it says: its AE title.
    printable = "".join(character if " " <= character <= "~" else "?" for character in calling_ae)
    return {"kind": "anonymous", "id": f"ae:{printable}"}


def _operator() -> dict[str, str]:
    return {"kind": "operator", "id": "local"}


def _network(address: str) -> dict[str, str]:
    return {"address": address} if address else {}
