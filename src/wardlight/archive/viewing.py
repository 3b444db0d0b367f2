"""Links that open one study in another viewer, for a short time, as the person who made them (security.md section 6).

Viewers send many requests, so that a link brings a token and not a signature: it reads the one study that it names,
with what its maker may see at that moment, and nothing else. It ends with its time, with its maker, and when its maker
wants that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlencode

from wardlight import clock
from wardlight.access.model import Operation, Scope
from wardlight.archive.finding import find_study
from wardlight.archive.intake_parts import image_classes
from wardlight.archive.keyring import Tokens, release_key
from wardlight.archive.places import subjects_of
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import base64url
from wardlight.db.engine import Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.identity import store as identity
from wardlight.identity.model import TokenScope
from wardlight.identity.service import actor_of, behalf_of
from wardlight.identity.tokens import TokenKind, new_token, token_hash
from wardlight.keys.keystore import Keystore

#: Seconds that a link lives where nothing is asked for, and at most: a study is loaded once, and looked at for a while.
LIFE_S: Final = 15 * 60
LONGEST_S: Final = 24 * 3600


class Viewer(StrEnum):
    """Viewers whose way to open a study is known."""

    OHIF = "ohif"
    WEASIS = "weasis"
    SLICER = "slicer"


@dataclass(frozen=True, slots=True)
class Opening:
    """A link that was made. expires_ms: Unix milliseconds."""

    url: str = field(repr=False)
    expires_ms: int


class ViewerLinks:
    """Makes and ends them. Threads may share it. ohif: the address of the institution's OHIF, "" for none."""

    def __init__(self, database: Database, keystore: Keystore, recorder: Recorder, *, ohif: str = "") -> None:
        self._database = database
        self._keystore = keystore
        self._recorder = recorder
        self.ohif: Final = ohif.rstrip("/")

    def create(
        self, scope: Scope, study_uid: str, viewer: Viewer, *, base_url: str, life_s: int = LIFE_S
    ) -> Opening:
        """A link to a study that this person sees, for so many seconds.

        base_url: the platform's address as the viewer reaches it. Raises `not-found`, `bad-request`, `forbidden`.
        """
        scope.require(Operation.RETRIEVE)
        if scope.principal.study is not None:
            raise WardlightError("forbidden", reason="token-study")
        if not 1 <= life_s <= LONGEST_S:
            raise WardlightError("bad-request", f"a link lives 1 to {LONGEST_S} seconds")
        if viewer is Viewer.OHIF and not self.ohif:
            raise WardlightError("bad-request", "web.ohif_url names no OHIF")
        if viewer is Viewer.OHIF:
            # Its address holds the token, and addresses are logged.
            life_s = min(life_s, LIFE_S)
        study = Tokens(self._keystore, scope.institution).study(study_uid)
        with self._database.read(scope.institution) as tx:
            release, grant = find_study(tx, scope, study)
        now, row, token = clock.unix_ms(), uuid7(), new_token(TokenKind.VIEW)
        expires = now + life_s * 1000
        purpose = grant.purposes.split()[0] if grant else scope.purpose
        values = {
            "id": row,
            "hash": token_hash(token),
            "kind": TokenKind.VIEW.name.lower(),
            "institution": scope.institution,
            "holder": scope.principal.id,
            "scopes": TokenScope.IMAGES_READ.value,
            "created_ms": now,
            "expires_ms": expires,
            "purpose": purpose,
            "study": study,
        }
        key = release_key(self._keystore, release)
        event = Event(
            Action.ACCESS_URL_CREATE,
            actor_of(scope.principal),
            behalf=behalf_of(scope.principal),
            subjects=subjects_of(self._recorder.references(scope.institution), release, key, study_uid),
            purpose=purpose,
            basis=grant.basis if grant else scope.basis,
            agreement=(grant.agreement, grant.agreement_version) if grant else scope.agreement,
            grant=grant.id.hex if grant else "",
            classes=image_classes(release.level),
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            detail={
                "expires": clock.timestamp_ms(expires),
                "what": f"study in {viewer}",
                "link": base64url(hashlib.sha256(str(row).encode()).digest()[:16]),
            },
        )
        with self._database.begin(scope.institution) as tx:
            identity.add_token(tx, values)
            self._recorder.write(tx, scope.institution, event)
        return Opening(self._url(viewer, f"{base_url}/dicom-web", study_uid, token), expires)

    def end(self, scope: Scope, study_uid: str) -> int:
        """End all links of this person to this study; returns how many lived."""
        scope.require(Operation.OWN)
        study = Tokens(self._keystore, scope.institution).study(study_uid)
        principal = scope.principal
        with self._database.begin(scope.institution) as tx:
            count = identity.revoke_study_tokens(tx, scope.institution, principal.id, study, clock.unix_ms())
            event = Event(
                scope.action,
                actor_of(principal),
                target=Target("person", id=principal.id),
                address=scope.address,
                request=scope.request,
                token=principal.token_ref,
                counts={"tokens": count},
            )
            self._recorder.write(tx, scope.institution, event)
        return count

    def _url(self, viewer: Viewer, root: str, study_uid: str, token: str) -> str:
        if viewer is Viewer.WEASIS:
            # https://weasis.org/en/basics/commands: `$dicom:rs` finds series and instances by QIDO-RS itself.
            command = f'$dicom:rs --url "{root}" -r "studyUID={study_uid}" -H "Authorization: Bearer {token}"'
            return f"weasis://{quote(command, safe='')}"
        if viewer is Viewer.SLICER:
            values = {"studyUID": study_uid, "access_token": token, "dicomweb_endpoint": root}
            return f"slicer://viewer/?{urlencode(values)}"
        return f"{self.ohif}/viewer?{urlencode({'StudyInstanceUIDs': study_uid, 'token': token})}"
