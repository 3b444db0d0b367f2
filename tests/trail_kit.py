"""An institution with a receiver and its witness key, and calls of handlers as the receiver makes them."""

from __future__ import annotations

import json
import os

from archive_kit import REQUEST
from wardlight.access.model import Principal, PrincipalKind, TokenScope
from wardlight.audit.note import WITNESS, Note, VerifierKey, cosign
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.receiver.exchange import ExchangeError
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
        self.key = self.platform.witnesses.enrol(self.institution, self.row, public, by=LOCAL_ADMINISTRATOR)
        return self.key

    def call(self, handler, action, body=None, **query):
        scope = self.platform.access.scope_for(self.principal, action, request=REQUEST, address="192.0.2.40")
        parts = handler(ApiCall(self.platform.parts, scope, {}, query, body or {}))
        return parts

    def line(self, note: str, time=1_795_507_560) -> str:
        """This receiver's cosignature line over a note."""
        return cosign(self.key.name, self.seed, Note.parse(note).body, time).rstrip("\n")


def seal(platform):
    """Seal and sign everything."""
    for _ in range(100):
        if not platform.sealer.seal():
            return
    raise AssertionError("there is always something to seal")


class Line:
    """An exchange over the application itself. `twist` changes answers on their way; `sent` is what was posted."""

    def __init__(self, client, token):
        self.client, self.token = client, token
        self.twist = lambda path, answer: answer
        self.sent = []
        self.before_post = lambda: None

    def get(self, path, **query):
        return self._read(self.client.get(path, params=query, headers=self._headers()), path)

    def post(self, path, data):
        self.before_post()
        self.sent.append(json.loads(data))
        headers = {**self._headers(), "Content-Type": "application/json"}
        return self._read(self.client.post(path, content=data, headers=headers), path)

    def close(self):
        pass

    def _headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    def _read(self, answer, path):
        if answer.status_code != 200:
            raise ExchangeError(f"http-{answer.status_code}", answer.status_code)
        return self.twist(path, answer.json())
