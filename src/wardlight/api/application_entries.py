"""What applications say for the institution's audit trail, over HTTP (audit.md section 6)."""

from __future__ import annotations

from wardlight.api.call import ApiRequest
from wardlight.dicomweb.call import Answer
from wardlight.trail.call import answer


def record(request: ApiRequest) -> Answer:
    """POST /api/v1/audit/entries: tells of each entry, in its order, what became of it."""
    results = request.platform.application_entries.record(request.scope, request.body)
    return answer({"entries": results})


def define(request: ApiRequest) -> Answer:
    """PUT /api/v1/audit/definition: what entries may say from now on."""
    definition = request.platform.application_entries.define(request.scope, request.body)
    return answer(definition.members())
