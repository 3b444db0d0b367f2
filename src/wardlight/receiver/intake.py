"""The gateway that the DICOM node calls: decides on associations and opens the way into the spool."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wardlight import clock, log
from wardlight.errors import WardlightError
from wardlight.receiver.admission import Denial, DenialCounter, RouteTable, admit
from wardlight.receiver.agreed import AgreedTable
from wardlight.receiver.entries import Entries
from wardlight.receiver.gateway import Admission, Rejection, Sink
from wardlight.receiver.model import Target
from wardlight.receiver.registrar import Registrar
from wardlight.receiver.secrets import ReceiverSecrets
from wardlight.receiver.sink import Arrival, ObjectSink, require_space
from wardlight.receiver.spool import Spool
from wardlight.settings import ReceiverSettings

#: That there is space enough is taken as known for so long, in seconds. Asking costs a call to the system each time.
_SPACE_FRESH_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Intake:
    """What the node and its sinks work with. `gateway` makes the gateway of it."""

    settings: ReceiverSettings
    spool: Spool
    spool_dir: Path
    routes: RouteTable
    agreed: AgreedTable
    registrar: Registrar
    secrets: ReceiverSecrets
    entries: Entries


class ReceiverGateway:
    """Implements `receiver.gateway.Gateway`. Used by many threads at once."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._denials = DenialCounter(self._write_denial)
        self._space_at = float("-inf")  # when there was space enough

    def association(self, called_ae: str, calling_ae: str, address: str, /) -> Admission:
        """Decide on an association request; the decision is audited."""
        registrar = self._intake.registrar
        if registrar.overloaded:
            admission, reason = Admission.reject(Rejection.LOCAL_LIMIT), "unavailable"
        else:
            admission, reason = admit(self._intake.routes, called_ae, calling_ae, address)
        if reason:
            # An unknown called title may be anything that a peer cares to send, so it is not kept.
            known = called_ae if reason in ("calling-ae", "network") else ""
            self._denials.add((f"association:{known}", calling_ae, address, reason))
            log.info("receiver.rejected", calling_ae=calling_ae, address=address, reason=reason)
        else:
            registrar.submit(self._intake.entries.association(called_ae, calling_ae, address))
        return admission

    def begin(
        self,
        route: str,
        calling_ae: str,
        address: str,
        sop_class: str,
        sop_instance: str,
        transfer_syntax: str,
        /,
    ) -> Sink:
        """Take a C-STORE request.

        Raises WardlightError: "out-of-resources" (free space), "unavailable" (the database does not keep up),
        "sop-class-not-allowed" (the route is gone since the association began), and why nothing of what the route makes
        is agreed. What is agreed in part is taken in for that part.
        """
        intake = self._intake
        try:
            found = intake.routes.get(route)
            if found is None:
                raise WardlightError("sop-class-not-allowed", reason="route-gone")
            if intake.registrar.overloaded:
                raise WardlightError("unavailable", reason="database")
            targets = self._agreed(route, found.targets, calling_ae, address)
            self._require_space()
            return ObjectSink(
                Arrival(route, targets, calling_ae, address, sop_class, transfer_syntax, clock.unix_ms()),
                sop_instance,
                spool=intake.spool,
                spool_dir=intake.spool_dir,
                registrar=intake.registrar,
                secrets=intake.secrets,
                free_share=intake.settings.free_share,
                object_bytes=intake.settings.object_bytes,
                on_refusal=lambda error: self._refused(route, calling_ae, address, error),
            )
        except WardlightError as error:
            if error.code == "out-of-resources":
                # A file goes only when it is closed: what lies in the present ones makes room once it is uploaded.
                intake.spool.roll()
            self._refused(route, calling_ae, address, error)
            raise

    def _agreed(
        self, route: str, targets: tuple[Target, ...], calling_ae: str, address: str
    ) -> tuple[Target, ...]:
        """Those for which data may be taken in; raises the reason where there is none."""
        known = self._intake.agreed.get()
        refused = {target: reason for target in targets if (reason := known.why_not(target))}
        if len(refused) == len(targets):
            target, reason = next(iter(refused.items()))
            raise WardlightError(reason, f"{target.application} at {target.level}")
        for reason in refused.values():
            self._denials.add((f"object:{route}", calling_ae, address, reason))
        return tuple(target for target in targets if target not in refused) if refused else targets

    def _require_space(self) -> None:
        moment = time.monotonic()
        if moment - self._space_at > _SPACE_FRESH_S:
            require_space(self._intake.spool_dir, self._intake.settings.free_share)
            self._space_at = moment

    def flush(self) -> None:
        """Write the denials that were only counted; to be called at the end."""
        self._denials.flush()

    def _refused(self, route: str, calling_ae: str, address: str, error: WardlightError) -> None:
        reason = error.reason or error.code
        log.warning("receiver.refused", route=route, calling_ae=calling_ae, code=error.code, reason=reason)
        self._denials.add((f"object:{route}", calling_ae, address, reason))

    def _write_denial(self, denial: Denial, number: int) -> None:
        what, calling_ae, address, reason = denial
        kind, _, name = what.partition(":")
        entries = self._intake.entries
        make = entries.refused if kind == "object" else entries.association
        self._intake.registrar.submit(make(name, calling_ae, address, reason, number))
