"""Passkeys (WebAuthn level 2): user verification always, relying party and origin exact, attestation none."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from wardlight.errors import WardlightError

# The library and what it parses certificates with take a while to load, which commands that need none do not wait for:
# it is imported where it is used.


@dataclass(frozen=True, slots=True)
class Site:
    """The relying party: `origin` as browsers send it, such as `https://ward.example`."""

    origin: str

    @property
    def id(self) -> str:
        """The relying party's id: the host alone (WebAuthn section 5.1.2)."""
        return urlsplit(self.origin).hostname or ""


@dataclass(frozen=True, slots=True)
class Registered:
    """A new passkey. public_key: in COSE form (RFC 9053)."""

    credential: bytes
    public_key: bytes
    counter: int


@dataclass(frozen=True, slots=True)
class Signed:
    """What an authenticator's answer says before it is checked: whose it claims to be and what it signed."""

    credential: bytes
    challenge: bytes
    user: bytes | None
    answer: Mapping[str, Any] = field(repr=False)


def new_challenge() -> bytes:
    """What an authenticator is to sign: 32 random bytes."""
    return os.urandom(32)


def challenge_hash(challenge: bytes) -> bytes:
    """Under which a challenge is remembered."""
    return hashlib.sha256(challenge).digest()


def creation(
    site: Site, person: str, login: str, name: str, challenge: bytes, known: Sequence[bytes]
) -> dict[str, Any]:
    """Options for `navigator.credentials.create`. known: credentials of this person, not to be made again."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=site.id,
        rp_name="Wardlight",
        user_id=person.encode(),
        user_name=login,
        user_display_name=name,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return dict(json.loads(options_to_json(options)))


def request(site: Site, challenge: bytes) -> dict[str, Any]:
    """Options for `navigator.credentials.get`: any passkey of this site, so that nobody is asked for a name."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import UserVerificationRequirement

    options = generate_authentication_options(
        rp_id=site.id, challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
    )
    return dict(json.loads(options_to_json(options)))


def challenge_of(answer: Mapping[str, Any]) -> bytes:
    """The challenge that an authenticator says it was given. Raises `sign-in-failed`."""
    from webauthn.helpers import base64url_to_bytes, parse_client_data_json

    try:
        data = base64url_to_bytes(answer["response"]["clientDataJSON"])
        return parse_client_data_json(data).challenge
    except Exception:  # noqa: BLE001 - the library lets through whatever its parsers raise
        raise WardlightError("sign-in-failed") from None


def read(answer: Mapping[str, Any]) -> Signed:
    """What an answer of `navigator.credentials.get` says of itself. Raises `sign-in-failed`."""
    from webauthn.helpers import parse_authentication_credential_json

    try:
        parsed = parse_authentication_credential_json(dict(answer))
    except Exception:  # noqa: BLE001 - the library lets through whatever its parsers raise
        raise WardlightError("sign-in-failed") from None
    return Signed(parsed.raw_id, challenge_of(answer), parsed.response.user_handle, answer)


def registered(site: Site, answer: Mapping[str, Any], challenge: bytes) -> Registered:
    """The passkey that was made. Raises `sign-in-failed` where the answer does not hold."""
    from webauthn import verify_registration_response

    try:
        found = verify_registration_response(
            credential=dict(answer),
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - the library lets through whatever its parsers raise
        raise WardlightError("sign-in-failed", "the passkey was not made for this site") from None
    if len(found.credential_id) > 1023 or len(found.credential_public_key) > 2048:
        raise WardlightError("sign-in-failed", "the passkey is larger than any that is known")
    return Registered(found.credential_id, found.credential_public_key, found.sign_count)


def verified(site: Site, signed: Signed, public_key: bytes) -> int:
    """The authenticator's counter, where the answer is signed by this key for this site. Raises `sign-in-failed`.

    The counter is the caller's to compare: the library would refuse one that went back without telling it apart.
    """
    from webauthn import verify_authentication_response

    try:
        found = verify_authentication_response(
            credential=dict(signed.answer),
            expected_challenge=signed.challenge,
            expected_rp_id=site.id,
            expected_origin=site.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - the library lets through whatever its parsers raise
        raise WardlightError("sign-in-failed") from None
    return found.new_sign_count
