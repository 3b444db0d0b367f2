"""Routes of machine data (R6.8): what devices, receivers and applications tell of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from starlette.responses import Response

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import machine_data
from wardlight.archive.machine_store import Segment
from wardlight.audit.actions import Action
from wardlight.errors import WardlightError
from wardlight.machinedata.intake import Form, form_of
from wardlight.machinedata.model import CLASSES, SEVERITIES
from wardlight.machinedata.service import Intake
from wardlight.trail.call import answer
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.bodies import pump
from wardlight.web.follow import Following
from wardlight.web.responses import AnswerResponse
from wardlight.web.routes import Follow, Manage
from wardlight.web.threads import in_thread

ROOT: Final = "/api/v1/machine-data"
OTLP: Final = f"{ROOT}/otlp/v1"
_SENDERS: Final = frozenset({PrincipalKind.PERSON, PrincipalKind.RECEIVER, PrincipalKind.APPLICATION})
_SEND: Final = frozenset({TokenScope.MANAGE, TokenScope.RECEIVER_STORE, TokenScope.MACHINE_WRITE})
_READERS: Final = frozenset({PrincipalKind.PERSON, PrincipalKind.APPLICATION})
_READ: Final = frozenset({TokenScope.MANAGE, TokenScope.MACHINE_READ})
_APPLICATIONS: Final = frozenset({PrincipalKind.APPLICATION})
_NDJSON: Final = "application/x-ndjson"


def _otlp(form: Form, name: str) -> Callable[[Following], Awaitable[Response]]:
    async def take(call: Following) -> Response:
        """An export request of OpenTelemetry; its answer is as OTLP has it (nothing was rejected)."""
        intake = await call.guarded(partial(_begin, call, name, form))
        await _taken(call, intake)
        return AnswerResponse(answer({}))

    return take


async def upload(call: Following) -> Response:
    """POST /api/v1/machine-data: lines of a log, NDJSON, or a document of JSON."""
    intake = await call.guarded(partial(_begin, call, call.query().get("class", "log"), None))
    row = await _taken(call, intake)
    return AnswerResponse(answer(machine_data.stored(intake.body, row), 201))


async def _taken(call: Following, intake: Intake) -> Segment:
    try:
        try:
            last = await pump(call.request, intake)
        except WardlightError as error:
            await call.guarded(partial(_fail, error))
            raise
        return await call.guarded(partial(intake.finish, last))
    finally:
        await asyncio.shield(in_thread(intake.abort))


def _begin(call: Following, name: str, form: Form | None) -> Intake:
    headers, query = call.request.headers, call.query()
    media = headers.get("content-type", "")
    if form is not None and media.partition(";")[0].strip().lower() != JSON:
        raise WardlightError("unsupported-media-type", "OTLP is taken as application/json")
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip"):
        raise WardlightError("unsupported-media-type", "a body is as it is, or gzip")
    found = query.get("found", "mask")
    if found not in ("mask", "refuse"):
        raise WardlightError("bad-request", "found is mask or refuse", "found")
    length = headers.get("content-length", "")
    return call.services.platform.machine_data.begin(
        call.scope,
        name,
        form or form_of(media, name),
        query.get("source", ""),
        gzip=coding == "gzip",
        refuse=found == "refuse",
        length=int(length) if length.isdigit() and len(length) < 16 else 0,
    )


def _fail(error: WardlightError) -> None:
    raise error


_CLASS: Final = Parameter("class", "Of R1.1.", {"enum": [*CLASSES]})
_CLASSES: Final = Parameter("class", "Classes with commas between; all without it.", {"type": "string"})
_SOURCE: Final = Parameter("source", "Name of the device or service.", {"type": "string", "maxLength": 64})
_FOUND: Final = Parameter(
    "found",
    "What is done where personal data is found: it is masked, or the whole body refused.",
    {"enum": ["mask", "refuse"]},
)
_FROM: Final = Parameter("from", "From this time on.", {"type": "string"})
_TO: Final = Parameter("to", "Before this time.", {"type": "string"})


def _exports(path: str, form: Form, name: str, transaction: str, what: str) -> Follow:
    return Follow(
        path,
        _otlp(form, name),
        Action.MACHINE_DATA_STORE,
        Operation.MACHINE_SEND,
        _SENDERS,
        _SEND,
        About(
            transaction,
            f"{what} of an OpenTelemetry exporter, by OTLP/HTTP in JSON; personal data that is found is masked.",
            (JSON,),
            consumes=(JSON,),
            errors=(413, 415, 422, 429, 507),
            query=(_FOUND,),
            schema="MachineDataExported",
            takes="MachineDataExport",
        ),
        method="POST",
    )


MACHINE_DATA: Final = (
    _exports(f"{OTLP}/logs", Form.OTLP_LOGS, "log", "Export Logs", "Log records"),
    _exports(f"{OTLP}/metrics", Form.OTLP_METRICS, "status", "Export Metrics", "Metrics"),
    Follow(
        ROOT,
        upload,
        Action.MACHINE_DATA_STORE,
        Operation.MACHINE_SEND,
        _SENDERS,
        _SEND,
        About(
            "Upload Machine Data",
            "Lines of a log, NDJSON, or a document of JSON; each also in gzip. Personal data that is found is masked.",
            (JSON,),
            consumes=(_NDJSON, "text/plain", JSON),
            statuses=(201,),
            errors=(413, 415, 422, 429, 507),
            query=(_CLASS, _SOURCE, _FOUND),
            schema="MachineDataStored",
        ),
        method="POST",
    ),
    Manage(
        ROOT,
        machine_data.search,
        Action.MACHINE_DATA_QUERY,
        Operation.MACHINE,
        _READERS,
        _READ,
        About(
            "Search Machine Data",
            "Records, newest first. A page may be short and have a next one: a request looks through so much.",
            (JSON,),
            errors=(413,),
            query=(
                _CLASSES,
                _FROM,
                _TO,
                _SOURCE,
                Parameter("severity", "At least this severe.", {"enum": [*SEVERITIES]}),
                Parameter("text", "Anywhere in a record, in any case.", {"type": "string", "maxLength": 200}),
                Parameter("after", "`next` of the page before.", {"type": "string"}),
                Parameter("limit", "Most records.", {"type": "integer", "minimum": 1, "maximum": 1000}),
            ),
            schema="MachineDataPage",
        ),
    ),
    Manage(
        f"{ROOT}/summary",
        machine_data.summary,
        Action.MACHINE_DATA_QUERY,
        Operation.MACHINE,
        _READERS,
        _READ,
        About(
            "Machine Data by Hour",
            "How much came, by hour, class and source; for people also how many studies came, by modality.",
            (JSON,),
            query=(_CLASSES, _FROM, _TO),
            schema="MachineDataSummary",
        ),
    ),
    Manage(
        f"{ROOT}/series",
        machine_data.series,
        Action.MACHINE_DATA_QUERY,
        Operation.MACHINE,
        _READERS,
        _READ,
        About(
            "Series of Metric",
            "The points of a metric, averaged over equal times, by source.",
            (JSON,),
            errors=(413,),
            query=(
                Parameter("metric", "Its name.", {"type": "string", "maxLength": 200}),
                _SOURCE,
                _FROM,
                _TO,
            ),
            schema="MachineDataSeries",
        ),
    ),
    Manage(
        f"{ROOT}/subscription",
        machine_data.subscriptions,
        Action.MACHINE_DATA_QUERY,
        Operation.MACHINE,
        _APPLICATIONS,
        frozenset({TokenScope.MACHINE_READ}),
        About(
            "Show Subscription",
            "Of which classes the application is told in its feed and by its webhooks.",
            (JSON,),
            schema="MachineDataSubscriptions",
        ),
    ),
    Manage(
        f"{ROOT}/subscription",
        machine_data.subscribe,
        Action.MACHINE_SUBSCRIPTION_CREATE,
        Operation.MACHINE,
        _APPLICATIONS,
        frozenset({TokenScope.MACHINE_READ}),
        About(
            "Subscribe to Machine Data",
            "Have `machine-data.available` sent when data of these classes came, at most once a minute for each.",
            (JSON,),
            consumes=(JSON,),
            schema="MachineDataSubscriptions",
            takes="MachineDataSubscribe",
        ),
        method="PUT",
    ),
    Manage(
        f"{ROOT}/subscription",
        machine_data.unsubscribe,
        Action.MACHINE_SUBSCRIPTION_DELETE,
        Operation.MACHINE,
        _APPLICATIONS,
        frozenset({TokenScope.MACHINE_READ}),
        About("Unsubscribe from Machine Data", "Tell it no more.", (), statuses=(204,), query=(_CLASSES,)),
        method="DELETE",
    ),
    Manage(
        f"{ROOT}/{{segment}}",
        machine_data.delete,
        Action.MACHINE_DATA_DELETE,
        Operation.MACHINE,
        frozenset({PrincipalKind.PERSON}),
        frozenset({TokenScope.MANAGE}),
        About(
            "Delete Machine Data", "All records that came together: their bytes follow.", (), statuses=(204,)
        ),
        method="DELETE",
    ),
)
