"""Keys of the platform as a whole, derived from one that the keystore holds: every node has the same."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from joserfc.jwk import ECKey

from wardlight.errors import WardlightError
from wardlight.identity.dpop import Nonces
from wardlight.keys.derive import derive
from wardlight.keys.keystore import Keystore
from wardlight.keys.labels import Label
from wardlight.keys.wrap import KeyKind

#: The pseudo institution of those who run the platform.
_OPERATOR: Final = UUID(int=0)


class PlatformKeys:
    """Opens them when they are asked for; the keystore decides how long they stay in memory."""

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore

    def nonces(self) -> Nonces:
        """What makes and knows nonces of DPoP."""
        return Nonces(derive(self._key(), Label.DPOP_NONCE))

    def enrolment(self) -> ECKey:
        """The P-256 key by which the platform shows a receiver that it is the one that gave out its code."""
        return ECKey.derive_key(derive(self._key(), Label.ENROLMENT))

    def _key(self) -> bytes:
        try:
            return self._keystore.institution_key(_OPERATOR, KeyKind.PLATFORM)[1]
        except WardlightError as error:
            if error.code != "not-found":
                raise
        self._keystore.ensure_institution(_OPERATOR)
        return self._keystore.institution_key(_OPERATOR, KeyKind.PLATFORM)[1]
