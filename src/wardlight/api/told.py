"""That configuration was shown, in the trail."""

from __future__ import annotations

from wardlight.api.call import ApiRequest
from wardlight.audit.actions import Action
from wardlight.audit.model import Event


def told(request: ApiRequest, results: int) -> None:
    """Write that so many rows of configuration were shown to whoever asks, in the log of where they belong."""
    scope = request.scope
    event = Event(
        Action.PLATFORM_SETTING_READ,
        request.actor,
        purpose=scope.purpose,
        address=scope.address,
        request=scope.request,
        token=scope.principal.token_ref,
        counts={"results": results},
    )
    institution = scope.principal.institution
    with request.platform.database.begin(institution) as tx:
        request.platform.recorder.write(tx, institution, event)
