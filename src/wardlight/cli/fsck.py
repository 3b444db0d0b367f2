"""`wardlight fsck`: proves that index, segments and keys fit together."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from wardlight import bootstrap, log, settings
from wardlight.archive.fsck import ERRORS, NOTES, Fsck, Report
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.installation import require_whole

# A transaction ends within 30 s; an object that then has no row never gets one.
_GRACE_S: Final = 35.0


def fsck(
    deep: Annotated[
        bool, typer.Option("--deep", help="Decrypt everything and compare each instance's digest.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove objects that no row names, and old unused keys.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="Data folder.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="TOML file with settings; WARDLIGHT_* variables win over it."),
    ] = None,
) -> None:
    """Check archive and audit trail, running or not. Exit 0: index, segments, keys and logs fit together; 1: not all.

    Objects without a row are what a crash leaves; they are named, and are no error.

    Example: wardlight fsck --data /srv/wardlight --deep
    """
    chosen = settings.load(config)
    if data is not None:
        chosen = chosen.model_copy(update={"data_dir": data})
    require_whole(chosen, create=False)
    log.configure("fsck", level="error")
    platform = bootstrap.platform(chosen, create=False)
    try:
        checker = Fsck(platform.database, platform.keystore, platform.objects, platform.recorder)
        report = checker.check(deep=deep)
        if repair and any(
            code in ("orphan-object", "unused-key", "wrong-postings", "deleted-key") for code in report.counts
        ):
            time.sleep(_GRACE_S)
            checker.repair(report, LOCAL_ADMINISTRATOR)
        checker.record(report, LOCAL_ADMINISTRATOR, deep=deep, repair=repair)
    finally:
        platform.close()
    typer.echo(_json(report) if as_json else _text(report, deep=deep))
    raise typer.Exit(0 if report.clean else 1)


def _json(report: Report) -> str:
    return json.dumps(
        {
            "clean": report.clean,
            "releases": report.releases,
            "instances": report.instances,
            "objects": report.objects,
            "bytes": report.bytes,
            "counts": dict(sorted(report.counts.items())),
            "findings": [{"code": code, "id": str(id_)} for code, id_ in report.findings],
            "repaired": report.repaired,
        },
        indent=2,
    )


def _text(report: Report, *, deep: bool) -> str:
    lines = [
        f"{report.releases} releases, {report.instances} instances, {report.objects} objects, "
        f"{report.bytes:,} bytes{', all of them decrypted' if deep else ''}"
    ]
    for code, count in sorted(report.counts.items()):
        kind = "ERROR" if code in ERRORS else "note "
        lines.append(f"{kind}  {code}: {count}  ({ERRORS.get(code) or NOTES[code]})")
        lines += [f"         {id_}" for found, id_ in report.findings if found == code][:20]
    if report.repaired:
        lines.append(f"repaired: {report.repaired}")
    lines.append("clean" if report.clean else "NOT CLEAN")
    return "\n".join(lines)
