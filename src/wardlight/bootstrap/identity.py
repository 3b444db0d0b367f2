"""Services of people, applications and receivers."""

from __future__ import annotations

from dataclasses import dataclass

from wardlight.agreements.entitlements_store import is_subscribed
from wardlight.bootstrap.core import Core
from wardlight.identity.applications import Applications
from wardlight.identity.enrolments import Enrolments
from wardlight.identity.factors import Factors
from wardlight.identity.federation import Federations
from wardlight.identity.oidc_farewell import Farewells
from wardlight.identity.oidc_keys import TokenKeys
from wardlight.identity.oidc_service import Provider
from wardlight.identity.people import People
from wardlight.identity.platform_keys import PlatformKeys
from wardlight.identity.sign_in import SignIn
from wardlight.keys.oidc_keys import TokenUse


@dataclass(frozen=True, slots=True)
class IdentityServices(Core):
    """Who is who, and how they come in."""

    @property
    def applications(self) -> Applications:
        """Partner applications."""
        return Applications(self.database, self.recorder)

    @property
    def enrolments(self) -> Enrolments:
        """How receivers come to be known."""
        return Enrolments(self.database, self.recorder, PlatformKeys(self.keystore))

    @property
    def people(self) -> People:
        """People of institutions."""
        return People(self.database, self.recorder, self.identity.sessions)

    @property
    def factors(self) -> Factors:
        """What people prove themselves with beside a password."""
        return Factors(self.database, self.recorder, self.keystore, self.identity.sessions)

    @property
    def sign_in(self) -> SignIn:
        """The ways in."""
        return SignIn(
            self.database, self.recorder, self.denials, self.rates, self.identity.sessions, self.factors
        )

    @property
    def provider(self) -> Provider:
        """Signs people in to partner applications."""
        keys = TokenKeys(self.database, self.recorder, self.keystore, TokenUse.PROVIDER)
        return Provider(self.database, self.recorder, keys, self.settings.base_url, is_subscribed)

    @property
    def farewells(self) -> Farewells:
        """Tells partner applications who signed out."""
        provider = self.provider
        return Farewells(self.database, self.recorder, provider.keys, self.egress, provider.issuer)

    @property
    def federations(self) -> Federations:
        """Sign-in by institutions' own providers."""
        keys = TokenKeys(self.database, self.recorder, self.keystore, TokenUse.FEDERATION)
        return Federations(
            self.database,
            self.recorder,
            self.denials,
            self.keystore,
            self.identity,
            keys,
            self.egress,
            self.settings.base_url,
        )
