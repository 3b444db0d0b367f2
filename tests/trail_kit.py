"""An institution with a receiver and its witness key, and calls of handlers as the receiver makes them."""

from __future__ import annotations

import os

from archive_kit import REQUEST
from wardlight.access.model import Principal, PrincipalKind, TokenScope
from wardlight.audit.note import WITNESS, Note, VerifierKey, cosign
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail.call import ApiCall


class Gateway:
    """One receiver, as the platform sees it."""

    def __init__(self, kit, name="gateway-1", institution=None):
        self.kit = kit
        self.platform = kit.platform
        self.institution = institution or kit.institution
        self.row = self.platform.identity.create_receiver(self.institution.id, name, by=LOCAL_ADMINISTRATOR)
        self.principal = Principal(
            PrincipalKind.RECEIVER,
            self.row.id,
            self.institution.id,
            None,
            frozenset({TokenScope.RECEIVER_AUDIT}),
            "r",
        )

    def enrol(self):
        """A new witness key; returns its vkey."""
        self.seed = os.urandom(32)
        public = VerifierKey.of("any", self.seed, WITNESS).public
        self.key = self.platform.witnesses.enrol(
            self.institution, self.row, public, by=LOCAL_ADMINISTRATOR
        )
        return self.key

    def call(self, handler, action, body=None, **query):
        scope = self.platform.access.scope_for(
            self.principal, action, request=REQUEST, address="192.0.2.40"
        )
        parts = handler(ApiCall(self.platform.parts, scope, {}, query, body or {}))
        return parts

    def line(self, note: str, time=1_795_507_560) -> str:
        """This receiver's cosignature line over a note."""
        return cosign(self.key.name, self.seed, Note.parse(note).body, time).rstrip("\n")


def seal(platform):
    """Seal and sign everything."""
    while platform.sealer.seal():
        pass
