"""`wardlight admin entitlement | source`: what applications ask for, who uses them, and whose data is brought."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wardlight.agreements.model import Level, SourceKind
from wardlight.cli.admin_agreements import ApplicationArgument, AttestedByOption, ClassOption
from wardlight.cli.opened import ConfigOption, DataOption, InstitutionArgument, JsonOption, opened
from wardlight.cli.rows import show
from wardlight.identity.service import LOCAL_ADMINISTRATOR

entitlement_app = typer.Typer(
    no_args_is_help=True, help="What applications ask for, and which ones an institution uses."
)
source_app = typer.Typer(no_args_is_help=True, help="Where data of third parties is from.")


@entitlement_app.command("request")
def entitlement_request(
    application: Annotated[str, typer.Argument(help="Id of the application.")],
    purpose: Annotated[
        list[str], typer.Option("--purpose", help="HL7 v3 PurposeOfUse code; may be repeated.")
    ],
    level: Annotated[Level, typer.Option("--level", help="The least strict privacy level that it needs.")],
    region: Annotated[list[str], typer.Option("--region", help="Where it runs; may be repeated.")],
    declared_by: Annotated[
        str, typer.Option("--declared-by", help="Who declares for its owner that it complies.")
    ],
    document: Annotated[str, typer.Option("--document", help="Where that is written.")],
    class_: ClassOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record what an application asks for, in the place of what it asked for before.

    Example: wardlight admin entitlement request acme_ai --purpose TREAT --level medium --region eu --declared-by "Acme, data protection officer" --document DPA-2026-4
    """  # noqa: E501 - an example is one line, to be copied
    with opened(data, config) as platform:
        row = platform.entitlements.request(
            application,
            purposes=purpose,
            level=level,
            regions=region,
            declared_by=declared_by,
            document=document,
            classes=class_ or (),
            by=LOCAL_ADMINISTRATOR,
        )
    show([row], as_json, one=True)


@entitlement_app.command("subscribe")
def entitlement_subscribe(
    institution: InstitutionArgument,
    application: ApplicationArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The institution uses the application from now on.

    Example: wardlight admin entitlement subscribe stmary acme_ai
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        row = platform.entitlements.subscribe(tenant.id, application, by=LOCAL_ADMINISTRATOR)
    show([row], as_json, one=True)


@entitlement_app.command("unsubscribe")
def entitlement_unsubscribe(
    institution: InstitutionArgument,
    application: ApplicationArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The institution uses the application no longer: its access is over at once.

    Example: wardlight admin entitlement unsubscribe stmary acme_ai
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        row = platform.entitlements.unsubscribe(tenant.id, application, by=LOCAL_ADMINISTRATOR)
    show([row], as_json, one=True)


@entitlement_app.command("list")
def entitlement_list(
    institution: Annotated[
        str, typer.Argument(help="Slug or id: its subscriptions. Default: what applications ask for.")
    ] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what applications ask for, all versions, or an institution's subscriptions.

    Example: wardlight admin entitlement list stmary
    """
    rows: list[Any]
    with opened(data, config) as platform:
        if institution:
            tenant = platform.identity.institution(institution)
            rows = list(platform.entitlements.subscriptions(tenant.id))
        else:
            rows = list(platform.entitlements.list())
    show(rows, as_json)


@source_app.command("add")
def source_add(
    institution: InstitutionArgument,
    kind: Annotated[SourceKind, typer.Option("--kind", help="What the third party is.")],
    name: Annotated[str, typer.Option("--name", help="Who provides the data.")],
    basis: Annotated[str, typer.Option("--basis", help="Legal basis, like gdpr:6.1.f+9.2.j.")],
    attested_by: AttestedByOption,
    document: Annotated[str, typer.Option("--document", help="Reference of the document.")],
    anonymised: Annotated[
        bool, typer.Option("--anonymised", help="It declares that its data is anonymised already.")
    ] = False,
    evidence: Annotated[str, typer.Option("--evidence", help="On what that declaration stands.")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record where data of a third party is from, before any of it is taken in.

    Example: wardlight admin source add stmary --kind retailer --name "Test Data Ltd" --basis gdpr:6.1.f+9.2.j --attested-by "Kim Berg" --document TDL-7
    """  # noqa: E501 - an example is one line, to be copied
    with opened(data, config) as platform:
        row = platform.sources.record(
            platform.identity.institution(institution).id,
            kind,
            name,
            legal_basis=basis,
            attested_by=attested_by,
            document=document,
            anonymised=anonymised,
            evidence=evidence,
            by=LOCAL_ADMINISTRATOR,
        )
    show([row], as_json, one=True)


@source_app.command("list")
def source_list(
    institution: InstitutionArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List an institution's sources of third parties' data.

    Example: wardlight admin source list stmary
    """
    with opened(data, config) as platform:
        rows = platform.sources.list(platform.identity.institution(institution).id)
    show(rows, as_json)
