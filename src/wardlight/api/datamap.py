"""The data map, the record of processing activities and the beginning of an impact assessment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wardlight.api.call import ApiRequest
from wardlight.datamap.forms import FORMS
from wardlight.datamap.model import Kind
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.trail.report_forms import Form, chosen

#: A page is a document of its own that may do nothing, whoever shows it.
_SANDBOX: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; font-src data:"


@dataclass(frozen=True, slots=True)
class Export:
    """GET of one of the documents: in the form that the query names, else in one that is accepted."""

    kind: Kind

    def __call__(self, request: ApiRequest) -> Answer:
        """The document of the institution, as it is now."""
        forms, named = FORMS[self.kind], request.query.get("format", "")
        if named and named not in forms:
            raise WardlightError("bad-request", f"format is one of {', '.join(forms)}")
        form = Form(named) if named else chosen(request.headers.get("accept", ""), forms)
        found = request.platform.data_maps.export(
            request.scope.institution, self.kind, form, by=request.actor
        )
        headers = {
            "Content-Disposition": f'attachment; filename="{found.name}"',
            "Content-Security-Policy": _SANDBOX,
            "Vary": "Accept",
        }
        return Answer(found.data, found.media, headers=headers)
