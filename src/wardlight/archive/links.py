"""Pre-authorised links to one instance, or to a study as a zip, under a grant (security.md section 6).

A link is signed by a key that is derived from the release's own, for this grant: it ends with its time, with the grant,
which each use asks for, and with the key of the study. Whatever is not a link that holds is `not-found`.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final
from uuid import UUID

from wardlight import clock
from wardlight.access import store as access_store
from wardlight.access.model import Grant, Operation, Principal, PrincipalKind, Scope, TokenScope, Use
from wardlight.access.service import ROLES, Access
from wardlight.archive import granted_store, share_store, store
from wardlight.archive.attributes import STUDY_UID, first_text
from wardlight.archive.keyring import Tokens, release_key
from wardlight.archive.model import InstanceLocation
from wardlight.archive.places import locations
from wardlight.archive.store import ReleaseRow
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import base64url
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.identity import store as identity
from wardlight.identity.model import Role
from wardlight.identity.service import actor_of, behalf_of
from wardlight.keys.derive import derive
from wardlight.keys.keystore import Keystore
from wardlight.keys.labels import Label, bind

#: Below the address of the service.
ROOT: Final = "/dicom-web/p"
#: Seconds that a link lives where nothing is asked for, and at most.
LIFE_S: Final = 300
LONGEST_S: Final = 24 * 3600
_SIGNATURE_BYTES: Final = 24
_NOT_FOUND: Final = "not-found"


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was made. path: with its query, below the service's address. expires_s: Unix seconds."""

    path: str = field(repr=False)
    expires_s: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link names, and the scope of whom it was made for: all that it shows is read within that."""

    scope: Scope
    release: UUID
    study_uid: str = field(repr=False)
    series_uid: str | None = field(default=None, repr=False)
    sop_uid: str | None = field(default=None, repr=False)


def link_path(grant: UUID, instance: UUID | None) -> str:
    """The path that is signed: of the instance's row, or of the study."""
    return f"{ROOT}/{grant.hex}/" + (f"instance/{instance}" if instance else "study")


def sign(study_key: bytes, grant: UUID, path: str, expires_s: int, network: str, person: str = "") -> str:
    """The signature of a link to GET a path until a time, from a network ("" for any), made by a person, if any."""
    key = derive(study_key, Label.URL, grant.bytes)
    parts = [b"GET", path.encode("ascii"), str(expires_s).encode(), network.encode("ascii")]
    message = b"\0".join([*parts, person.encode()] if person else parts)
    digest = hmac.digest(key, bind(Label.URL, message), "sha256")[:_SIGNATURE_BYTES]
    return urlsafe_b64encode(digest).decode()


class Links:
    """Makes links, and opens them. Threads may share it."""

    def __init__(self, database: Database, keystore: Keystore, recorder: Recorder, access: Access) -> None:
        self._database = database
        self._keystore = keystore
        self._recorder = recorder
        self._access = access

    def create(
        self, scope: Scope, grant_id: UUID, sop_uid: str | None, *, life_s: int = LIFE_S, network: str = ""
    ) -> Link:
        """A link to an instance, or to the whole study where no SOP Instance UID is given, for so many seconds.

        Never longer than the grant. An application makes them under its own grants, a person under those of his
        institution's applications, and his own. What a person makes ends with the person. Raises `not-found`,
        `bad-request`.
        """
        scope.require(Operation.GRANTS)
        if not 1 <= life_s <= LONGEST_S:
            raise WardlightError("bad-request", f"a link lives 1 to {LONGEST_S} seconds")
        network = _network(network)
        now = clock.unix_ms()
        with self._database.read(scope.institution) as tx:
            grant = access_store.live_by_id(tx, scope.institution, grant_id, now)
            if grant is None or not _may(scope, grant):
                raise WardlightError(_NOT_FOUND)
            rows = granted_store.releases_by_ids(tx, scope.institution, [grant.release])
            if not rows:
                raise WardlightError(_NOT_FOUND)
            instance = None
            if sop_uid is not None:
                token = Tokens(self._keystore, scope.institution).instance(sop_uid)
                places = store.find_instances(tx, grant.release, token=token, completed=True)
                if not places:
                    raise WardlightError(_NOT_FOUND)
                instance = places[0].id
        key = release_key(self._keystore, rows[0]).key
        expires = min(now // 1000 + life_s, grant.expires_ms // 1000)
        path = link_path(grant.id, instance)
        principal = scope.principal
        person = principal.id if principal.kind is PrincipalKind.PERSON else principal.person
        signed = sign(key, grant.id, path, expires, network, person)
        event = Event(
            Action.ACCESS_URL_CREATE,
            actor_of(scope.principal),
            behalf=behalf_of(scope.principal),
            target=Target("grant", id=grant.id.hex),
            subjects=((grant.patient_ref, grant.study_ref),),
            purpose=scope.purpose,
            agreement=grant.agreement,
            grant=grant.id.hex,
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            detail={
                "expires": clock.timestamp_ms(expires * 1000),
                "what": "instance" if instance else "study",
                "link": _reference(signed),
            },
        )
        with self._database.begin(scope.institution) as tx:
            self._recorder.write(tx, scope.institution, event)
        bound = (f"&n={network}" if network else "") + (f"&u={person}" if person else "")
        return Link(f"{path}?e={expires}&s={signed}{bound}", expires)

    def open(
        self,
        grant_text: str,
        instance_text: str | None,
        query: Mapping[str, str],
        *,
        request: str,
        address: str,
    ) -> Opened:
        """What the link shows, within the scope of the grant's holder.

        Raises `not-found` for whatever is wrong, with an entry that somebody tried.
        """
        try:
            return self._open(grant_text, instance_text, query, request, address)
        except WardlightError as error:
            if error.code == _NOT_FOUND:
                self._access.deny(
                    None, Action.DICOMWEB_STUDY_READ, "link", request=request, address=address, status=404
                )
            raise

    def _open(
        self,
        grant_text: str,
        instance_text: str | None,
        query: Mapping[str, str],
        request: str,
        address: str,
    ) -> Opened:
        try:
            grant_id = UUID(hex=grant_text)
            instance = UUID(instance_text) if instance_text is not None else None
            expires = int(query.get("e", "")[:12])
        except ValueError:
            raise WardlightError(_NOT_FOUND) from None
        path = link_path(grant_id, instance)
        given = f"{ROOT}/{grant_text}/" + (
            f"instance/{instance_text}" if instance_text is not None else "study"
        )
        network, person, now = query.get("n", ""), query.get("u", ""), clock.unix_ms()
        # One spelling only, and nothing beside it; what is over is not looked up.
        spelt = {"e": str(expires), "s": query.get("s", "")}
        spelt |= {name: value for name, value in (("n", network), ("u", person)) if value}
        if given != path or dict(query) != spelt or not 0 < expires * 1000 - now <= LONGEST_S * 1000 + 999:
            raise WardlightError(_NOT_FOUND)
        with self._database.read(EVERYWHERE) as tx:
            grant = access_store.live_anywhere(tx, grant_id, now)
        if grant is None:
            raise WardlightError(_NOT_FOUND)
        release = self._release(grant)
        try:
            key = release_key(self._keystore, release)
        except WardlightError as error:
            raise WardlightError(_NOT_FOUND) if error.code == "key-destroyed" else error from None
        if not network.isascii():
            raise WardlightError(_NOT_FOUND)
        right = sign(key.key, grant.id, path, expires, network, person)
        if not hmac.compare_digest(right.encode(), query["s"].encode("utf-8", "replace")) or not _inside(
            address, network
        ):
            raise WardlightError(_NOT_FOUND)
        scope = self._scope(grant, person, right, request, address)
        scope.uses.append(Use(release.id, grant.id))
        study_uid = first_text(key.unseal_study(release), STUDY_UID)
        if instance is None:
            return Opened(scope, release.id, study_uid)
        place = self._place(release, study_uid, instance)
        return Opened(scope, release.id, study_uid, place.series_uid, place.sop_uid)

    def _release(self, grant: Grant) -> ReleaseRow:
        with self._database.read(grant.institution) as tx:
            rows = granted_store.releases_by_ids(tx, grant.institution, [grant.release])
        if not rows:
            raise WardlightError(_NOT_FOUND)
        return rows[0]

    def _place(self, release: ReleaseRow, study_uid: str, instance: UUID) -> InstanceLocation:
        """The instance of this row, whose UIDs are wanted."""
        with self._database.read(release.institution) as tx:
            token = share_store.instance_token(tx, instance)
            rows = store.find_instances(tx, release.id, token=token) if token else []
        if not rows or rows[0].id != instance:
            raise WardlightError(_NOT_FOUND)
        return locations(release, release_key(self._keystore, release), rows, study_uid, None)[0]

    def _role(self, institution: UUID, person: str) -> Role:
        """The role of an active person of the institution. Raises `not-found`."""
        with self._database.read(institution) as tx:
            people = identity.people(tx, institution, id_=person)
        if not people or people[0].state != identity.ACTIVE:
            raise WardlightError(_NOT_FOUND)
        return people[0].role

    def _scope(self, grant: Grant, person: str, signature: str, request: str, address: str) -> Scope:
        """The scope of the grant's holder, for the person who made the link, who still has to be somebody.

        The trail names the link where it names tokens.
        """
        reference = _reference(signature)
        held = frozenset({TokenScope.IMAGES_READ.value})
        purpose = grant.purposes[0]
        if grant.application is not None:
            role = self._role(grant.institution, person) if person else None
            principal = Principal(
                PrincipalKind.APPLICATION,
                grant.application,
                grant.institution,
                role,
                held,
                reference,
                purpose,
                person=person,
            )
        else:
            with self._database.read(grant.institution) as tx:
                people = identity.people(tx, grant.institution, id_=grant.person)
                places = identity.institutions(tx, id_=grant.institution)[0].networks
            if not people:
                raise WardlightError(_NOT_FOUND)
            networks = tuple(places.split())
            principal = Principal(
                PrincipalKind.PERSON, people[0].id, grant.institution, people[0].role, held, reference,
                networks=networks,
            )  # fmt: skip
        try:
            return self._access.scope_for(
                principal, Action.DICOMWEB_STUDY_READ, request=request, address=address, purpose=purpose
            )
        except WardlightError:
            raise WardlightError(_NOT_FOUND) from None


def _reference(signature: str) -> str:
    """How the trail names a link, where it is made and where it is used: the signature itself opens doors."""
    return base64url(hashlib.sha256(signature.encode()).digest()[:16])


def _may(scope: Scope, grant: Grant) -> bool:
    """Whether who asks may make links under this grant.

    Its application for its purpose, its person, and under grants of applications who sees all images.
    """
    principal = scope.principal
    if principal.kind is PrincipalKind.APPLICATION:
        return grant.application == principal.id and principal.purpose in grant.purposes
    # Who may list grants need not see an image: a privacy officer does not, by a link neither.
    sees = principal.role is not None and Operation.RETRIEVE in ROLES[principal.role]
    return sees and (grant.person == principal.id or (grant.person is None and not scope.granted))


def _network(text: str) -> str:
    """A network in its one spelling, "" for none. Raises `bad-request`."""
    if not text:
        return ""
    try:
        return str(ip_network(text))
    except ValueError:
        raise WardlightError("bad-request", "network is not a CIDR") from None


def _inside(address: str, network: str) -> bool:
    if not network:
        return True
    try:
        place = ip_address(address)
        return (getattr(place, "ipv4_mapped", None) or place) in ip_network(network)
    except ValueError:
        return False
