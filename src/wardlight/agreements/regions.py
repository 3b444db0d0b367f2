"""Whether data of an institution may be at a place: in its region, or where an agreement lets it go (R10.3)."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from wardlight.agreements.model import Agreement, Terms
from wardlight.classification.regions import TRANSFERS, is_region, within
from wardlight.errors import WardlightError
from wardlight.identity import store as identity


def home(tx: Connection, institution: UUID) -> str:
    """The institution's region."""
    return identity.institutions(tx, id_=institution)[0].region


def may_be_at(tx: Connection, place: str, institution: UUID, agreement: Agreement | None) -> bool:
    """Whether data may be at this place. agreement: the version that holds, if any.

    Without a transfer it may be where the agreement says, which lies in the institution's region; with one, in both.
    """
    if agreement is None:
        return within(place, home(tx, institution))
    if within(place, agreement.region):
        return True
    return bool(agreement.transfer) and within(place, home(tx, institution))


def checked(terms: Terms, region: str) -> Terms:
    """The terms with their region, the institution's where they name none.

    Raises `bad-request` for another region without a basis of the transfer, and for a basis where nothing is
    transferred: it would be believed that something is.
    """
    place = terms.region or region
    if not is_region(place) or (terms.transfer and terms.transfer not in TRANSFERS):
        raise WardlightError("bad-request", "the region, or the basis of the transfer, is not one", "region")
    crosses = not within(place, region)
    if crosses and not terms.transfer:
        raise WardlightError(
            "bad-request",
            "data would leave the institution's region: name the basis of the transfer",
            "region",
        )
    if terms.transfer and not crosses:
        raise WardlightError("bad-request", "nothing is transferred to another region", "region")
    return replace(terms, region=place)
