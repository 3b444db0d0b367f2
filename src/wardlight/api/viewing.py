"""Opening a study in another viewer."""

from __future__ import annotations

from typing import Final

from wardlight import clock
from wardlight.agreements.purposes import PURPOSES
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields
from wardlight.archive.viewing import LIFE_S, Viewer
from wardlight.audit.actions import Action
from wardlight.dicomweb.call import Answer, is_uid
from wardlight.errors import WardlightError
from wardlight.trail.call import answer

_KNOWN: Final = frozenset({"viewer", "seconds", "purpose"})


def create(request: ApiRequest) -> Answer:
    """POST /api/v1/studies/{study}/viewer-links."""
    fields = Fields(request.body, _KNOWN)
    purpose = fields.text("purpose", "TREAT")
    if purpose not in PURPOSES:
        raise WardlightError("bad-request", "purpose is not known")
    own = request.scope
    # What the link will show is decided on now, too: whoever may not look makes none.
    seeing = request.platform.access.scope_for(
        request.principal,
        Action.DICOMWEB_STUDY_READ,
        request=own.request,
        address=own.address,
        purpose=purpose,
    )
    made = request.platform.viewer_links.create(
        seeing,
        _study(request),
        fields.choice("viewer", Viewer),
        base_url=request.base_url,
        life_s=fields.number("seconds", LIFE_S),
    )
    return answer({"url": made.url, "expires_at": clock.timestamp_ms(made.expires_ms)}, status=201)


def end(request: ApiRequest) -> Answer:
    """DELETE /api/v1/studies/{study}/viewer-links: one's own, at once."""
    return answer({"ended": request.platform.viewer_links.end(request.scope, _study(request))})


def _study(request: ApiRequest) -> str:
    study = request.path["study"]
    if not is_uid(study):
        raise WardlightError("not-found")
    return study
