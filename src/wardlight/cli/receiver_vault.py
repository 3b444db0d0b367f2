"""`wardlight receiver vault`, `domain` and `reidentify`: what leads from pseudonyms back to patients, in the hospital.

Identifiers may be given as `-`, which reads them from standard input: a command line is seen by other users.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardlight.cli.receiver_options import ConfigOption, JsonOption, existing
from wardlight.errors import WardlightError

if TYPE_CHECKING:
    from wardlight.audit.actions import Action
    from wardlight.receiver.entries import Entries
    from wardlight.receiver.secrets import ReceiverSecrets
    from wardlight.receiver.store import ReceiverStore
    from wardlight.receiver.vault import Vault
    from wardlight.settings import Settings

vault_app = typer.Typer(
    no_args_is_help=True, help="What leads from pseudonyms back to patients; it never leaves the hospital."
)
domain_app = typer.Typer(
    no_args_is_help=True, help="The secret by which all receivers of a hospital give the same pseudonyms."
)

_SHORTEST_PASSPHRASE = 12

IssuerOption = Annotated[
    str, typer.Option("--issuer", help="Issuer of the patient IDs, as the images have it.")
]


@dataclass(frozen=True, slots=True)
class _Receiver:
    """A receiver's files, opened for one command."""

    chosen: Settings
    secrets: ReceiverSecrets
    vault: Vault
    store: ReceiverStore
    entries: Entries

    def telling(self, action: Action, part: str, change: str) -> Callable[[], None]:
        """Writes into the trail, when it is called, what changes."""
        return lambda: self.store.append([self.entries.vault(action, part, change=change)])


@contextmanager
def _opened(config: Path | None) -> Iterator[_Receiver]:
    """A receiver that exists; what it refuses is told, and ends the command."""
    from wardlight.receiver.entries import Entries
    from wardlight.receiver.places import database_path, vault_path
    from wardlight.receiver.secrets import load
    from wardlight.receiver.store import ReceiverStore
    from wardlight.receiver.vault import Vault

    chosen = existing(config)
    try:
        secrets = load(chosen.receiver_secrets)
        store = ReceiverStore(database_path(chosen))
        vault = Vault(vault_path(chosen), secrets)
        try:
            yield _Receiver(chosen, secrets, vault, store, Entries(chosen.node))
        finally:
            vault.close()
            store.close()
    except WardlightError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        # Its text would have a file's name, which may be a patient's.
        typer.echo(f"wardlight: a file cannot be used ({type(error).__name__})", err=True)
        raise typer.Exit(1) from None


def reidentify(
    files: Annotated[list[Path], typer.Argument(help="Results of applications, as DICOM files.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the restored files, which must exist.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the patient back into results of applications, for the PACS. What is not certain is refused.

    Example: wardlight receiver reidentify result.dcm --out to-pacs
    """
    from wardlight.deid.restore import NotRestored
    from wardlight.receiver.reidentify import Reidentifier

    refused = 0
    with _opened(config) as here:
        restorer = Reidentifier(here.vault, here.store, here.entries, here.secrets)
        for number, file in enumerate(files, 1):
            line: dict[str, object] = {"file": number}
            try:
                line["out"] = str(restorer.restore(file, out))
            except NotRestored as refusal:
                refused += 1
                line["refused"] = refusal.code
            # The input's name may be a patient's: its number stands for it.
            plain = f"{number}: {line.get('out') or 'refused: ' + str(line['refused'])}"
            typer.echo(json.dumps(line) if as_json else plain)
    if refused:
        raise typer.Exit(2)


@vault_app.command("status")
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show how much the vault holds.

    Example: wardlight receiver vault status
    """
    with _opened(config) as here:
        counts = here.vault.store.counts()
    typer.echo(json.dumps(counts) if as_json else "\n".join(f"{name:<11} {n}" for name, n in counts.items()))


@vault_app.command("read")
def read(
    pseudonym: Annotated[str, typer.Argument(help="Patient ID as an application has it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who is behind a pseudonym; this is in the audit trail.

    Example: wardlight receiver vault read ABCDEFGHIJKLMNOP
    """
    from wardlight.audit.actions import Action

    with _opened(config) as here:
        found = here.vault.release(_given(pseudonym))
        entry = here.entries.vault(Action.RECEIVER_VAULT_READ, "vault", results=int(found is not None))
        here.store.append([entry])
        if found is None:
            raise WardlightError("not-found", "the vault does not know this pseudonym")
        kind, _, rest = here.vault.resolved(found.patient).partition(b"\0")
    issuer, _, patient_id = rest.partition(b"\0") if kind == b"patient" else (b"", b"", b"")
    shown = {
        "patient_id": patient_id.decode("utf-8", "replace"),
        "issuer": issuer.decode("utf-8", "replace"),
        "study_uid": rest.decode("ascii", "replace") if kind == b"study" else "",
        "application": found.target.application,
        "level": str(found.target.level),
    }
    typer.echo(json.dumps(shown) if as_json else "\n".join(f"{k:<12} {v}" for k, v in shown.items() if v))


@vault_app.command("pseudonyms")
def pseudonyms(
    patient: Annotated[str, typer.Argument(help="Patient ID as the PACS has it.")],
    issuer: IssuerOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a patient's pseudonyms for each application, with which the platform is asked for what it holds.

    The platform never learns the name; that this was read is in the audit trail.

    Example: wardlight receiver vault pseudonyms - --json
    """
    from wardlight.audit.actions import Action

    which = _patient(patient, issuer)
    with _opened(config) as here:
        found = here.vault.pseudonyms(which)
        entry = here.entries.vault(Action.RECEIVER_VAULT_READ, "vault", results=len(found))
        here.store.append([entry])
        if not found:
            raise WardlightError("not-found", "the vault knows no pseudonym of this patient")
    shown = [
        {"application": to.application, "level": str(to.level), "pseudonym": one.decode("ascii")}
        for to, one in found
    ]
    lines = [f"{one['pseudonym']}  {one['level']:<11} {one['application']}" for one in shown]
    typer.echo(json.dumps(shown) if as_json else "\n".join(lines))


@vault_app.command("merge")
def merge(
    old: Annotated[str, typer.Argument(help="Patient ID that was merged.")],
    new: Annotated[str, typer.Argument(help="Patient ID that the patient has now.")],
    issuer: IssuerOption = "",
    new_issuer: Annotated[
        str | None, typer.Option("--new-issuer", help="Issuer of the second, where it is another.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Two patient IDs are one patient: what comes from now on has one pseudonym.

    Example: wardlight receiver vault merge 1234 5678
    """
    from wardlight.audit.actions import Action

    with _opened(config) as here:
        first = _patient(old, issuer)
        second = _patient(new, issuer if new_issuer is None else new_issuer)
        tell = here.telling(Action.RECEIVER_SETTING_CHANGE, "vault", "vault.merge")
        here.vault.merge(first, second, tell)
    typer.echo("merged")


@vault_app.command("erase")
def erase(
    patient: Annotated[
        str, typer.Option("--patient", help="Patient ID; all IDs merged with it go, too.")
    ] = "",
    issuer: IssuerOption = "",
    study: Annotated[str, typer.Option("--study", help="Original Study Instance UID.")] = "",
    config: ConfigOption = None,
) -> None:
    """Forget a patient or a study for good: no result of it can be restored any more. What was released stays.

    Example: wardlight receiver vault erase --study 1.2.840.113619.2.1
    """
    from wardlight.audit.actions import Action

    if bool(patient) == bool(study):
        raise typer.BadParameter("give either --patient or --study")
    which = _given(study) if study else _patient(patient, issuer)
    with _opened(config) as here:
        token = here.secrets.study_token(which.decode("ascii", "replace")) if study else None
        here.store.append([here.entries.vault(Action.RECEIVER_VAULT_ERASE, "vault", study=token)])
        gone = here.vault.erase_study(which) if study else here.vault.erase_patient(which)
    typer.echo(", ".join(f"{number} {name}" for name, number in gone.items()) + " erased")


@vault_app.command("export")
def export(
    out: Annotated[Path, typer.Option("--out", help="File to write; it must not be there yet.")],
    to: Annotated[
        Path | None, typer.Option("--to", help="The hospital's recovery key: X25519 public key, PEM.")
    ] = None,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for a passphrase instead.")] = False,
    config: ConfigOption = None,
) -> None:
    """Write the whole vault to a file that only the recovery key or a passphrase opens.

    Example: wardlight receiver vault export --to recovery.pub --out vault.wlvx
    """
    from wardlight.audit.actions import Action
    from wardlight.receiver import vault_export

    if (to is None) != passphrase:
        raise typer.BadParameter("give either --to or --passphrase")
    word = _passphrase(confirm=True) if passphrase else ""
    with _opened(config) as here:
        public = vault_export.recovery_public(to.read_bytes()) if to is not None else None

        def tell(rows: int) -> None:
            here.store.append([here.entries.vault(Action.RECEIVER_VAULT_EXPORT, "vault", results=rows)])

        number = vault_export.export(
            here.vault, here.secrets.hospital, out, to=public, passphrase=word, before=tell
        )
    typer.echo(f"{number} rows exported")


@vault_app.command("import")
def bring(
    file: Annotated[Path, typer.Argument(help="What `vault export` wrote.")],
    key: Annotated[
        Path | None, typer.Option("--key", help="The hospital's recovery key: X25519 private key, PEM.")
    ] = None,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for the passphrase instead.")] = False,
    config: ConfigOption = None,
) -> None:
    """Add what another vault of this hospital held. A receiver that gave no pseudonym yet joins its domain.

    Example: wardlight receiver vault import vault.wlvx --key recovery.key
    """
    from wardlight.audit.actions import Action
    from wardlight.receiver import domain, vault_export
    from wardlight.receiver.quarantine import FOLDER

    if (key is None) != passphrase:
        raise typer.BadParameter("give either --key or --passphrase")
    word = _passphrase(confirm=False) if passphrase else ""
    with _opened(config) as here:
        private = vault_export.recovery_private(key.read_bytes()) if key is not None else None
        export_ = vault_export.Export(file, key=private, passphrase=word)
        chosen = here.chosen
        joined = domain.adopt(
            export_.domain,
            here.secrets.hospital,
            chosen.receiver_secrets,
            here.vault,
            chosen.receiver_dir / FOLDER,
            here.telling(Action.RECEIVER_SETTING_CHANGE, "vault", "vault.import"),
        )
        if not joined:
            number = export_.bring(here.vault)
    if joined:
        # Tokens are of the domain: the vault is opened anew with the one it has now.
        with _opened(config) as here:
            number = export_.bring(here.vault)
    typer.echo(f"{number} rows imported")


@domain_app.command("key")
def domain_key(config: ConfigOption = None) -> None:
    """Print the public key of this receiver, to which another one seals its domain.

    Example: wardlight receiver domain key > gateway-2.jwk
    """
    from wardlight.receiver import domain

    chosen = existing(config)
    try:
        typer.echo(json.dumps(domain.public_key(chosen.receiver_secrets)))
    except WardlightError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@domain_app.command("export")
def domain_export(
    for_: Annotated[Path, typer.Option("--for", help="Public key of the other receiver: its `domain key`.")],
    config: ConfigOption = None,
) -> None:
    """Print this hospital's domain, sealed for another of its receivers alone.

    Example: wardlight receiver domain export --for gateway-2.jwk > domain.json
    """
    from wardlight.audit.actions import Action
    from wardlight.receiver import domain

    with _opened(config) as here:
        try:
            jwk = json.loads(for_.read_bytes())
        except ValueError:
            raise WardlightError("bad-request", "this is no public key of a receiver") from None
        sealed = domain.seal(here.secrets.hospital, jwk)
        here.store.append([here.entries.vault(Action.RECEIVER_VAULT_EXPORT, "domain")])
    typer.echo(sealed)


@domain_app.command("import")
def domain_import(
    file: Annotated[Path, typer.Argument(help="What `domain export` printed on the other receiver.")],
    config: ConfigOption = None,
) -> None:
    """Take on the hospital's domain, before this receiver gives its first pseudonym. Stop the receiver before.

    Example: wardlight receiver domain import domain.json
    """
    from wardlight.audit.actions import Action
    from wardlight.receiver import domain
    from wardlight.receiver.quarantine import FOLDER

    with _opened(config) as here:
        directory = here.chosen.receiver_secrets
        secret = domain.unseal(file.read_text("utf-8", "replace"), directory)
        joined = domain.adopt(
            secret,
            here.secrets.hospital,
            directory,
            here.vault,
            here.chosen.receiver_dir / FOLDER,
            here.telling(Action.RECEIVER_SETTING_CHANGE, "domain", "domain"),
        )
    typer.echo("joined" if joined else "this receiver is of that domain already")


def _given(text: str) -> bytes:
    """An identifier as given, or of standard input."""
    return (sys.stdin.readline() if text == "-" else text).strip().encode("utf-8", "surrogateescape")


def _patient(patient_id: str, issuer: str) -> bytes:
    from wardlight.deid.uids import patient_of

    return patient_of(issuer.encode("utf-8", "surrogateescape"), _given(patient_id), b"")


def _passphrase(*, confirm: bool) -> str:
    word: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm)
    if len(word) < _SHORTEST_PASSPHRASE:
        raise typer.BadParameter(f"a passphrase has {_SHORTEST_PASSPHRASE} characters or more")
    return word
