"""`wardlight admin` and `wardlight fsck`: what each command does, prints, and writes into the trail."""

import json
import stat

import pytest
import typer
from click.testing import CliRunner
from joserfc.jwk import ECKey, RSAKey
from typer.main import get_command

from archive_kit import dataset, incoming, part10
from rsyslog import CLIENT, Authority
from wardlight import bootstrap
from wardlight.access.model import Principal, PrincipalKind
from wardlight.archive.model import Level
from wardlight.audit.actions import Action
from wardlight.audit.note import WITNESS, VerifierKey
from wardlight.cli import fsck as fsck_module
from wardlight.cli.admin import app
from wardlight.errors import WardlightError
from wardlight.receiver import credential, enrolment, secrets
from wardlight.settings import Settings


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("WARDLIGHT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("WARDLIGHT_CONFIG", raising=False)
    command = get_command(app)

    def run(*arguments, error=None):
        result = CliRunner().invoke(command, list(arguments))
        if error:
            assert isinstance(result.exception, WardlightError) and result.exception.code == error
            return None
        assert result.exit_code == 0, result.output
        if "--json" in arguments:
            return json.loads(result.output)
        return result.output

    return run


@pytest.fixture
def opened(tmp_path):
    platform = bootstrap.platform(Settings(data_dir=tmp_path / "data", demo=True))
    yield platform
    platform.close()


def seed(run):
    run("institution", "create", "stmary", "--name", "St. Mary Hospital", "--region", "eu")
    run("user", "create", "stmary", "hale", "--name", "Dr. Robin Hale", "--role", "clinician")
    run(
        "agreement", "create", "stmary", "images", "--level", "high", "--level", "identified",
        "--basis", "gdpr:6.1.e+9.2.h", "--purpose", "TREAT", "--attested-by", "Officer",
    )  # fmt: skip


def test_from_nothing_to_a_token_that_works(run, opened):
    seed(run)
    (institution,) = run("institution", "list", "--json")
    assert institution["slug"] == "stmary" and institution["created"].endswith("Z")
    assert run("institution", "show", institution["id"], "--json") == institution
    (person,) = run("user", "list", "stmary", "--json")
    assert (person["login"], person["role"]) == ("hale", "clinician")
    token = run("user", "token", "stmary", "hale", "--hours", "1").strip()
    principal = opened.identity.authenticate(token)
    assert principal.kind is PrincipalKind.PERSON and principal.id == person["id"]
    given = run("user", "token", "stmary", "hale", "--scope", "images.read", "--json")
    assert opened.identity.authenticate(given["token"]).scopes == {"images.read"}
    assert "2 tokens ended" in run("user", "revoke", "stmary", "hale")
    assert opened.identity.authenticate(token) is None


def test_agreements(run):
    seed(run)
    shown = run("agreement", "show", "stmary", "images", "--json")
    assert shown["levels"] == ["high", "identified"] and shown["purposes"] == ["TREAT"]
    run("application", "create", "acme_ai_prod", "--name", "Acme AI", "--vendor", "Acme")
    assert [row["id"] for row in run("application", "list", "--json")] == ["acme_ai_prod"]
    terms = ("--level", "high", "--basis", "hipaa:research", "--purpose", "HRESCH", "--attested-by", "O")
    run("agreement", "create", "stmary", "acme_ai_prod", *terms)
    run("agreement", "create", "stmary", "ghost", *terms, error="not-found")
    run("agreement", "show", "stmary", "ghost", error="no-agreement")
    assert [row["application"] for row in run("agreement", "list", "stmary", "--json")] == [
        "acme_ai_prod",
        "images",
    ]


def test_an_agreement_amended_compared_and_withdrawn(run):
    seed(run)
    run(
        "agreement", "amend", "stmary", "images", "--minimum-level", "low", "--access-days", "0.5",
        "--ends", "2099-01-31", "--document", "DPA-7", "--attested-by", "Officer",
    )  # fmt: skip
    row = run("agreement", "show", "stmary", "images", "--json")
    assert (row["version"], row["levels"], row["access_s"]) == (2, ["high", "medium", "low"], 43_200)
    assert (row["ends"], row["document"], row["region"]) == ("2099-01-31T00:00:00.000Z", "DPA-7", "eu")
    assert row["classes"] == ["health data", "image data, pseudonymised"] and row["withdrawn"] is None
    changes = {one["member"]: one for one in run("agreement", "diff", "stmary", "images", "--json")}
    assert set(changes) >= {"levels", "access_s", "document", "ends_ms", "classes"}
    assert changes["levels"] == {"member": "levels", "before": "high identified", "after": "high low medium"}
    assert "access_s: 2592000 → 43200" in run("agreement", "diff", "stmary", "images", "1", "2")
    run("agreement", "diff", "stmary", "images", "1", "3", error="not-found")
    both = ("--level", "high", "--minimum-level", "low", "--attested-by", "O")
    run("agreement", "amend", "stmary", "images", *both, error="bad-request")
    assert run("agreement", "withdraw", "stmary", "images", "--version", "1").strip() == "withdrawn: 1"
    found = run("agreement", "withdraw", "stmary", "images", "--json")
    assert found == {"agreement": row["id"], "withdrawn": [2]}
    run("agreement", "withdraw", "stmary", "images", error="conflict")
    run("agreement", "show", "stmary", "images", error="agreement-withdrawn")


def test_entitlements_subscriptions_and_sources(run):
    seed(run)
    run("application", "create", "acme_ai_prod", "--name", "Acme AI", "--vendor", "Acme")
    asked = (
        "--purpose", "TREAT", "--level", "low", "--region", "eu", "--declared-by", "Lee", "--document", "D",
    )  # fmt: skip
    run("entitlement", "request", "acme_ai_prod", *asked)
    run("entitlement", "request", "ghost", *asked, error="not-found")
    (row,) = run("entitlement", "list", "--json")
    assert (row["application"], row["purposes"], row["level"]) == ("acme_ai_prod", ["TREAT"], "low")
    made = run(
        "agreement", "create", "stmary", "acme_ai_prod", "--level", "high", "--basis", "hipaa:tpo",
        "--purpose", "TREAT", "--attested-by", "O",
    )  # fmt: skip
    assert "nothing is taken in before" in made
    run("entitlement", "subscribe", "stmary", "acme_ai_prod")
    run("entitlement", "subscribe", "stmary", "acme_ai_prod", error="already-exists")
    assert [one["application"] for one in run("entitlement", "list", "stmary", "--json")] == [
        "acme_ai_prod",
        "images",
    ]
    run("entitlement", "unsubscribe", "stmary", "acme_ai_prod")
    assert run("entitlement", "list", "stmary", "--json")[0]["ended"].endswith("Z")
    source = ("source", "add", "stmary", "--kind", "retailer", "--name", "Data Ltd", "--attested-by", "Kim")
    terms = ("--basis", "gdpr:6.1.f+9.2.j", "--document", "TDL-7")
    made = run(*source, *terms, "--json")
    run(*source, *terms, "--anonymised", error="bad-request")
    run(*source, *terms, "--anonymised", "--evidence", "report 12")
    assert [one["anonymised"] for one in run("source", "list", "stmary", "--json")] == [False, True]
    run(
        "agreement", "amend", "stmary", "images", "--source", made["id"], "--attested-by", "O",
    )  # fmt: skip
    assert run("agreement", "show", "stmary", "images", "--json")["source"] == made["id"]
    run("agreement", "amend", "stmary", "images", "--source", "x", "--attested-by", "O", error="not-found")


def test_a_receiver_on_this_machine(run, opened, tmp_path):
    seed(run)
    run("receiver", "create", "stmary", "gateway-1")
    folder = opened.settings.receiver_secrets
    assert stat.S_IMODE((folder / secrets.CREDENTIAL_FILE).stat().st_mode) == 0o400
    first = credential.enrolled(folder)
    (row,) = run("receiver", "list", "stmary", "--json")
    assert (row["name"], row["state"], row["id"]) == ("gateway-1", "active", first.receiver)
    run(
        "receiver",
        "create",
        "stmary",
        "gateway-1",
        "--folder",
        str(tmp_path / "other"),
        error="already-exists",
    )
    run("receiver", "create", "stmary", "gateway-2", error="already-exists")
    run("receiver", "create", "stmary", "gateway-2", "--folder", str(tmp_path / "other"))
    run("receiver", "revoke", "stmary", "gateway-1")
    assert {row["state"] for row in run("receiver", "list", "stmary", "--json")} == {"active", "revoked"}
    run("receiver", "revoke", "stmary", "nobody", error="not-found")


def test_a_receiver_elsewhere(run, opened, tmp_path):
    seed(run)
    code = run("receiver", "enrol", "stmary", "gateway-1", "--json")["code"]
    run("receiver", "confirm", "stmary", "gateway-1", "123456", error="conflict")
    found = enrolment.enrol(
        code, lambda signed: opened.enrolments.use(signed, issuer="https://w.example"), tmp_path
    )
    assert credential.enrolled(tmp_path).issuer == "https://w.example"
    row = run("receiver", "confirm", "stmary", "gateway-1", found["digits"], "--json")
    assert (row["id"], row["state"]) == (found["receiver"], "active")


def test_an_applications_life(run, opened, tmp_path):
    arguments = ("--name", "Acme AI", "--vendor", "Acme", "--owner", "Kim", "--kind", "on-premises")
    row = run(
        "application", "create", "acme_ai_test", *arguments, "--redirect-uri", "https://a.example/b", "--json"
    )
    assert (row["state"], row["kind"], row["environment"]) == ("pending", "on-premises", "test")
    assert row["redirect_uris"] == ["https://a.example/b"]
    run("application", "create", "acme_ai", *arguments, error="bad-request")
    assert run("application", "approve", "acme_ai_test", "--json")["state"] == "active"
    key = ECKey.generate_key("P-256", {"kid": "k1"})
    (tmp_path / "key.jwk").write_text(json.dumps(key.as_dict(private=False)))
    (tmp_path / "key.pem").write_bytes(ECKey.generate_key("P-384").as_pem(private=False))
    (tmp_path / "rsa.pem").write_bytes(RSAKey.generate_key(2048).as_pem(private=False))
    (tmp_path / "private.jwk").write_text(json.dumps(key.as_dict(private=True)))
    (tmp_path / "private.pem").write_bytes(key.as_pem(private=True))
    for name, algorithm in (("key.jwk", "ES256"), ("key.pem", "ES384"), ("rsa.pem", "RS384")):
        assert (
            run("application", "key", "add", "acme_ai_test", str(tmp_path / name), "--json")["alg"]
            == algorithm
        )
    for name in ("private.jwk", "private.pem", "nothing"):
        run("application", "key", "add", "acme_ai_test", str(tmp_path / name), error="bad-request")
    run("application", "key", "remove", "acme_ai_test", "k1")
    assert len(run("application", "key", "list", "acme_ai_test", "--json")) == 2
    run("application", "secret", "acme_ai_test", error="conflict")
    changed = run("application", "change", "acme_ai_test", "--name", "Acme 2", "--json")
    assert (changed["name"], changed["redirect_uris"]) == ("Acme 2", ["https://a.example/b"])
    assert run("application", "suspend", "acme_ai_test", "--json")["state"] == "suspended"
    assert run("application", "show", "acme_ai_test", "--json")["owner"] == "Kim"
    run("application", "delete", "acme_ai_test")
    assert run("application", "list", "--json") == []
    run("application", "create", "acme_web_test", *arguments, "--auth", "client_secret_basic")
    assert run("application", "secret", "acme_web_test").startswith("wl_cs_")


def test_errors_are_of_the_catalogue(run):
    run("institution", "show", "nowhere", error="not-found")
    run("institution", "create", "Bad Slug", "--name", "X", error="bad-request")
    seed(run)
    run("user", "token", "stmary", "hale", "--hours", "48", error="bad-request")


def test_every_change_is_in_the_trail_by_the_operator(run, opened):
    seed(run)
    run("user", "token", "stmary", "hale")
    run("user", "revoke", "stmary", "hale")
    run("receiver", "create", "stmary", "gateway-1")
    run("application", "create", "acme_ai_prod", "--name", "Acme AI", "--vendor", "Acme")
    with opened.database.read() as tx:
        rows = tx.exec_driver_sql("SELECT content FROM audit_pending ORDER BY seq").scalars().all()
    made, *entries = [json.loads(row) for row in rows]
    assert (made["action"], made["actor"]["kind"]) == (Action.PLATFORM_MIGRATION_RUN, "system")
    # The receiver itself brings its code.
    assert [entry["actor"]["kind"] for entry in entries].count("receiver") == 1
    assert {entry["actor"]["kind"] for entry in entries} == {"operator", "receiver"}
    assert [entry["action"] for entry in entries] == [
        Action.PLATFORM_INSTITUTION_CREATE,
        Action.PLATFORM_INSTITUTION_CREATE,
        Action.IDENTITY_PERSON_CREATE,
        Action.AGREEMENT_ENTITLEMENT_SUBSCRIBE,
        Action.AGREEMENT_AGREEMENT_CREATE,
        Action.IDENTITY_TOKEN_ISSUE,
        Action.IDENTITY_TOKEN_REVOKE,
        *[Action.IDENTITY_RECEIVER_ENROL] * 4,
        Action.IDENTITY_APPLICATION_REGISTER,
    ]
    (change,) = entries[-2]["change"]
    assert (change["path"], VerifierKey.parse(change["after"]).name) == ("witness", "receiver.stmary/w1")


def test_a_receivers_witness_key(run, opened, tmp_path):
    seed(run)
    run("receiver", "create", "stmary", "gateway-1")
    folder = opened.settings.receiver_secrets
    assert stat.S_IMODE((folder / "witness.key").stat().st_mode) == 0o400
    first = secrets.witness_key(folder)
    assert first.name == "receiver.stmary/w1"
    assert secrets.log_key(folder).name.endswith("/audit/stmary/1")
    assert run("audit-witness", "list", "stmary", "--json")[0]["name"] == "receiver.stmary/w1"
    vkey = run("receiver", "witness-key", "stmary", "gateway-1").strip()
    second = secrets.witness_key(folder)
    assert second.name == "receiver.stmary/w2" and second.seed != first.seed
    assert [row["vkey"] for row in run("audit-witness", "list", "stmary", "--json")] == [vkey]
    run("receiver", "witness-key", "stmary", "gateway-2", error="not-found")
    run("receiver", "create", "stmary", "gateway-2", error="already-exists")
    (folder / "witness.vkey").write_text("receiver.stmary/w1+00000000+AAAA")
    with pytest.raises(WardlightError, match="settings-unsafe"):
        secrets.witness_key(folder)


def test_witnesses_and_anchors(run, tmp_path):
    seed(run)
    key = VerifierKey.of("witness.example/w1", bytes(32), WITNESS).text
    url = ("--url", "https://witness.example")
    run("audit-witness", "add", "stmary", key, *url)
    run("audit-witness", "add", "stmary", key, *url, error="already-exists")
    run("audit-witness", "add", "operator", key, *url)
    run("audit-witness", "add", "stmary", "nonsense", *url, error="bad-request")
    run("audit-witness", "add", "stmary", VerifierKey.of("log", bytes(32)).text, *url, error="bad-request")
    for bad in ("http://witness.example", "ftp://x", "https://u:p@x"):
        other = VerifierKey.of("w/2", bytes(32), WITNESS).text
        run("audit-witness", "add", "stmary", other, "--url", bad, error="bad-request")
    run("audit-witness", "remove", "stmary", "witness.example/w1")
    run("audit-witness", "remove", "stmary", "witness.example/w1", error="not-found")
    # A name stands for one key for ever.
    run("audit-witness", "add", "stmary", key, *url, error="already-exists")
    assert run("audit-witness", "list", "stmary", "--json") == []
    file = str(tmp_path / "worm.log")
    anchor = run("audit-anchor", "add", "stmary", "file", file).strip()
    run("audit-anchor", "add", "stmary", "file", file, error="already-exists")
    run("audit-anchor", "add", "stmary", "file", "relative", error="bad-request")
    run("audit-anchor", "add", "stmary", "mail", "x", error="bad-request")
    run("audit-anchor", "add", "stmary", "https", "http://anchor.example", error="bad-request")
    run("audit-anchor", "add", "stmary", "file", "/x", "--every-s", "60", error="bad-request")
    (row,) = run("audit-anchor", "list", "stmary", "--json")
    assert (row["id"], row["target"], row["every_s"], row["sent"]) == (anchor, file, 86400, "")
    run("audit-anchor", "remove", "stmary", anchor)
    run("audit-anchor", "remove", "stmary", anchor, error="not-found")
    run("audit-anchor", "remove", "stmary", "x", error="not-found")


def fsck(*arguments):
    cli = typer.Typer()
    cli.command()(fsck_module.fsck)
    return CliRunner().invoke(get_command(cli), list(arguments))


def test_fsck(run, opened, monkeypatch):
    assert "not-found" in str(fsck("--data", str(opened.settings.data_dir / "elsewhere")).exception)
    seed(run)
    institution = opened.identity.institution("stmary")
    target = opened.archive.target(institution.id, "images", Level.HIGH, "1.2.3.4")
    writer = opened.archive.begin_segment(target)
    data = part10(dataset())
    writer.write(data)
    actor = Principal(PrincipalKind.RECEIVER, "rc-1", institution.id)
    opened.archive.commit(target, writer, [incoming(data, 0)], actor=actor, request="0" * 32)
    result = fsck("--deep")
    assert result.exit_code == 0 and "1 releases, 1 instances" in result.output and "clean" in result.output
    orphan = opened.archive.begin_segment(target)
    orphan.write(b"x")
    orphan.commit()
    monkeypatch.setattr(fsck_module, "_GRACE_S", 0)
    told = json.loads(fsck("--repair", "--json").output)
    assert told["clean"] and told["counts"] == {"orphan-object": 1} and told["repaired"] == 1
    assert json.loads(fsck("--json").output)["counts"] == {}
    for file in opened.settings.objects_dir.glob("??/*"):
        file.unlink()
    result = fsck()
    assert result.exit_code == 1 and "missing-object: 1" in result.output and "NOT CLEAN" in result.output


def test_collectors_of_a_log(run, opened, tmp_path):
    seed(run)
    authority = Authority(tmp_path)
    certificate, key = authority.issue(CLIENT)
    files = ("--ca", str(authority.path), "--cert", str(certificate), "--key", str(key))
    assert run("audit-forward", "add", "stmary", "siem.example", *files) == "siem.example:6514\n"
    assert run("audit-forward", "add", "stmary", "[2001:db8::5]:7000", *files, "--no-bom", "--all")
    run("audit-forward", "add", "operator", "siem.example:6514", *files)
    first, second = run("audit-forward", "list", "stmary", "--json")
    assert (first["collector"], first["state"], first["key"]) == ("siem.example:6514", "ok", str(key))
    assert (second["collector"], second["next"], second["bom"]) == ("2001:db8::5:7000", 0, False)
    assert "collector=siem.example:6514" in run("audit-forward", "list", "operator")
    for wrong in ("siem.example:x", ":6514", "siem.example:", "siem.example:70000"):
        run("audit-forward", "add", "stmary", wrong, *files, error="bad-request")
    run("audit-forward", "remove", "stmary", "siem.example:6514")
    run("audit-forward", "remove", "stmary", "siem.example:6514", error="not-found")
    assert len(run("audit-forward", "list", "stmary", "--json")) == 1
