"""Typed, frozen settings from a TOML file and `WARDLIGHT_*` environment variables, validated at start.

Nested names are joined by two underscores: `WARDLIGHT_RECEIVER__DICOM_PORT=11112`. The environment wins over the
file. Unsafe values refuse to start outside `demo` (security.md section 11, test 29): see `refuse_unsafe`.
"""

from __future__ import annotations

import ipaddress
import json
import os
import tomllib
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from wardlight.classification.model import DataClass
from wardlight.classification.regions import within
from wardlight.egress import Target
from wardlight.errors import WardlightError
from wardlight.smtp import Server

#: What `load` read from the file, for the settings that it makes.
_file_values: ContextVar[dict[str, Any]] = ContextVar("_file_values", default={})  # noqa: B039 - never changed


#: A web page's origin as a browser sends it (RFC 6454 section 6.2): scheme, host in lower case, port unless the usual.
Origin = Annotated[
    str,
    StringConstraints(
        pattern=r"^https?://[a-z0-9.-]+(?::[0-9]{1,5})?$|^https?://\[[0-9a-f:]+\](?::[0-9]{1,5})?$"
    ),
]


def _outgoing_target(text: str) -> str:
    Target.parse(text)
    return text


#: Addresses and a port that outgoing requests may reach.
OutgoingTarget = Annotated[str, AfterValidator(_outgoing_target)]


class WebSettings(BaseModel):
    """The HTTP side: API, DICOMweb, portal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    tls_certificate: Path | None = Field(
        None, description="PEM certificate chain; with it the server speaks HTTPS."
    )
    tls_key: Path | None = Field(None, description="PEM private key of the certificate.")
    behind_tls_proxy: bool = Field(False, description="A proxy on this machine or network ends TLS.")
    request_bytes: int = Field(64 << 30, gt=0, description="Largest request body, in bytes.")
    part_count: int = Field(100_000, gt=0, description="Most parts of one multipart request.")
    cors_origins: tuple[Origin, ...] = Field(
        (),
        description="Origins of web pages elsewhere that may call, such as `https://viewer.example`; never `*`.",
    )
    ohif_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#\"<>]+)?$",
        description="Address of an OHIF in which people may open studies; its origin must be in `web.cors_origins`,"
        " unless it is at the address of the platform itself. Empty: the portal does not offer it.",
    )


class UploadSettings(BaseModel):
    """Uploads by people, in the portal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file_bytes: int = Field(
        64 << 30, gt=0, description="Largest upload, in bytes: one file, or several small ones."
    )
    count: int = Field(10_000, gt=0, description="Most uploads of one institution under way.")
    total_bytes: int = Field(
        1 << 40, gt=0, description="Most bytes of one institution's uploads under way, in bytes."
    )
    hours: float = Field(
        24.0,
        gt=0,
        description="An upload ends so many hours after its last byte came; for as long it tells what became of it.",
    )


class MailSettings(BaseModel):
    """The mail server by which people are notified. Its addresses and port must be in `outgoing_targets`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("", description="Name of the mail server; empty: no mail is sent.")
    port: int = Field(587, ge=1, le=65535, description="Its port.")
    security: Literal["starttls", "tls", "plain"] = Field(
        "starttls",
        description="`starttls` (usual at port 587), `tls` from the first byte (465), or `plain`, to this machine only.",
    )
    user: str = Field("", description="Name that the platform logs in with; empty: it does not.")
    password_file: Path | None = Field(
        None, description="File of the password, which nobody but its owner may read."
    )
    sender: str = Field(
        "", description="Address that mails come from, such as `Wardlight <ward@hospital.example>`."
    )
    ca_file: Path | None = Field(
        None, description="PEM file of the authority that signed the server's certificate."
    )
    digest_hour: int = Field(6, ge=0, le=23, description="Hour at which daily digests are sent, in UTC.")
    days: float = Field(
        2.0, gt=0, le=30, description="A mail that the server does not take is tried for so many days."
    )


class MachineDataSettings(BaseModel):
    """Logs, status and configuration of devices and applications."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total_bytes: int = Field(
        1 << 38,
        gt=0,
        description="Most bytes of one institution's machine data, in stored bytes; what is beyond it is refused.",
    )


class QuarantineSettings(BaseModel):
    """What people uploaded and protection holds back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: float = Field(
        30.0,
        gt=0,
        description="What is held back is deleted after so many days, unless somebody decides before.",
    )
    total_bytes: int = Field(
        1 << 38,
        gt=0,
        description="Most bytes of one institution that are held, in bytes; what is beyond it is not kept.",
    )


class ReceiverSettings(BaseModel):
    """The DICOM node in the hospital network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dicom_host: str = Field("0.0.0.0", description="Address the DICOM node listens on.")  # noqa: S104 - a DICOM node serves its network
    dicom_port: int = Field(
        105, ge=0, le=65535, description="Port the DICOM node listens on (R3.1); 0 takes a free one."
    )
    platform_url: str = Field("", description="Where to upload to; empty: the platform on this machine.")
    platform_ca: Path | None = Field(
        None, description="PEM file of the authority that signed the platform's certificate."
    )
    associations: int = Field(64, gt=0, description="Most associations at once.")
    associations_per_address: int = Field(16, gt=0, description="Most associations at once from one address.")
    half_open_per_address: int = Field(
        8, gt=0, description="Most connections of one address without an association yet."
    )
    pdu_bytes: int = Field(
        1 << 20, ge=4096, le=1 << 24, description="Largest P-DATA-TF PDU offered and taken, in bytes."
    )
    object_bytes: int = Field(8 << 30, gt=0, description="Largest object; beyond it status A700.")
    artim_s: float = Field(30.0, gt=0, description="ARTIM timer of PS3.8, in seconds.")
    idle_s: float = Field(
        120.0, gt=0, description="An association silent for so long is aborted, in seconds."
    )
    slow_bytes_per_s: int = Field(
        4096, ge=0, description="A sender slower than this within an object for 60 s is aborted."
    )
    free_share: float = Field(
        0.05, ge=0, lt=1, description="Share of the disk to keep free; below it status A700."
    )
    node_processes: int = Field(1, ge=1, le=16, description="Processes that receive.")
    workers: int = Field(1, ge=1, le=64, description="Processes that de-identify and upload.")
    batch_bytes: int = Field(
        32 << 20, gt=0, description="Upload request size at which a batch is sent, in bytes."
    )
    batch_instances: int = Field(64, gt=0, description="Instances at which a batch is sent.")
    profiles: Path | None = Field(
        None,
        description="Folder with profiles of your own for levels: any of `high.toml`, `medium.toml`, `low.toml`; read at the start.",
    )


class S3Settings(BaseModel):
    """The S3 service of `objects_url`. Its credentials are never settings: they come from a file or AWS_* variables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str = Field(
        "", description="http(s)://host[:port] of the service; empty: Amazon's in the region."
    )
    region: str = Field(
        "us-east-1", pattern=r"^[a-z0-9-]+$", description="Region that requests are signed for."
    )
    place: str = Field(
        "",
        pattern=r"^([a-z0-9][a-z0-9-]{0,15})?$",
        description="Region where the bucket is, in the words of `region` above all others; empty: `s3.region` of Amazon's "
        "service, and the node's region for a service of your own.",
    )
    credentials_file: Path | None = Field(
        None,
        description="File in the form of `~/.aws/credentials`, of which `[default]` is read; empty: AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.",
    )
    ca_file: Path | None = Field(
        None, description="PEM file of the authority that signed the service's certificate."
    )
    timeout_s: float = Field(
        30.0, gt=0, description="A request takes at most so many seconds, with its retries twice."
    )
    retries: int = Field(3, ge=0, le=20, description="How often a request that fails is tried again.")


class Settings(BaseSettings):
    """Everything a process needs to know before it starts."""

    model_config = SettingsConfigDict(
        env_prefix="WARDLIGHT_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Field(
        Path("wardlight-data"), description="Folder of the embedded database, objects, keys and spool."
    )
    demo: bool = Field(False, description="Set by `wardlight demo` only: unsafe values are then let pass.")
    public_url: str = Field(
        "", description="Address people and applications use; empty: built from web.host and web.port."
    )
    node: str = Field(
        "node-1",
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Name of this node in logs and audit.",
    )
    region: str = Field(
        "eu",
        pattern=r"^[a-z0-9][a-z0-9-]{0,15}$",
        description="Region where this node, its data folder and its database are, as `eu` or `eu-central-1`: nothing of "
        "institutions of other regions is taken in without an agreement on a transfer to it.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    database_url: str = Field(
        "",
        description="Address of the index, as `postgresql://role@host/database?sslmode=verify-full`; empty: SQLite in the "
        "data folder.",
    )
    database_connections: int = Field(
        16, ge=2, le=500, description="Most connections of one process to PostgreSQL."
    )
    database_timeout_s: float = Field(
        30.0,
        gt=0,
        description="A statement on PostgreSQL, and the wait for a connection, takes at most so many seconds.",
    )
    objects_url: str = Field(
        "", description="Where objects are, as `s3://bucket/prefix`; empty: the data folder."
    )
    s3: S3Settings = S3Settings()
    keystore_dir: Path | None = Field(
        None, description="Folder of the keystore; empty: `keystore` in the data folder."
    )
    keystore_copies_dir: Path | None = Field(
        None,
        description="Folder that the worker ships copies of the keystore to, at least each minute, on another disk or "
        "machine than index and objects; empty: none are shipped.",
    )
    keyslot_dirs: tuple[Path, ...] = Field(
        (), description="Folders that mirror the keyslots, two at least outside demo."
    )
    root_file: Path | None = Field(
        None, description="File of the root key; empty: `root/root.key` in the data folder."
    )
    allow_plain_root: bool = Field(
        False, description="Accept a root key in a plain file outside demo, knowing section 1 of security.md."
    )
    allow_one_keyslot: bool = Field(False, description="Accept a single keyslot folder outside demo.")
    receiver_secrets_dir: Path | None = Field(
        None, description="Folder of the receiver's keys, outside its data; empty: `receiver-secrets`."
    )
    allow_secrets_in_data: bool = Field(
        False,
        description="Accept the receiver's keys below the data folder outside demo: whoever gets a copy of the data "
        "then has the keys of spool and pseudonyms, too.",
    )
    decoders: int = Field(
        0, ge=0, le=256, description="Processes that decode images; 0: one a processor, four at most."
    )
    allow_unsandboxed_decoders: bool = Field(
        False, description="Decode images where the kernel cannot confine the decoders, outside demo, too."
    )
    completion_quiet_s: float = Field(
        10.0, ge=0, description="A release is complete after so many seconds without a new instance."
    )
    event_days: float = Field(
        90.0, ge=1, description="Applications find events in their feeds for so many days."
    )
    webhook_days: float = Field(
        3.0, gt=0, description="A webhook that does not take an event is tried for so many days."
    )
    outgoing_targets: tuple[OutgoingTarget, ...] = Field(
        (),
        description="What webhooks and other outgoing requests may reach beside public addresses at port 443, as "
        "`10.1.0.0/16:8443` or `[fd00::/8]:443`. An address of this machine is named singly, and then plain http may go "
        "to loopback.",
    )
    web: WebSettings = WebSettings()
    uploads: UploadSettings = UploadSettings()
    quarantine: QuarantineSettings = QuarantineSettings()
    machine_data: MachineDataSettings = MachineDataSettings()
    mail: MailSettings = MailSettings()
    receiver: ReceiverSettings = ReceiverSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments (the command line) win over the environment, which wins over the file."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=_file_values.get())

    # Places inside the data folder. Each store has a folder of its own, so that it can have its own disk and backup.
    @property
    def index_path(self) -> Path:
        """The embedded index database."""
        return self.data_dir / "index" / "index.db"

    @property
    def index_url(self) -> str:
        """SQLAlchemy address of the index database."""
        return self.database_url or f"sqlite:///{self.index_path}"

    @property
    def objects_place(self) -> str:
        """The region where objects are."""
        if not self.objects_url:
            return self.region
        host = urlsplit(self.s3.endpoint).hostname or "" if self.s3.endpoint else ".amazonaws.com"
        return self.s3.place or (self.s3.region if f".{host}".endswith(".amazonaws.com") else self.region)

    @property
    def objects_dir(self) -> Path:
        """Encrypted objects."""
        return self.data_dir / "objects"

    @property
    def keystore_path(self) -> Path:
        """The database of wrapped keys."""
        return (self.keystore_dir or self.data_dir / "keystore") / "keystore.db"

    @property
    def keyslots(self) -> tuple[Path, ...]:
        """Folders that mirror the keyslots."""
        return self.keyslot_dirs or (self.data_dir / "keyslots",)

    @property
    def root_path(self) -> Path:
        """The root key file of the local keyring."""
        return self.root_file or self.data_dir / "root" / "root.key"

    @property
    def receiver_dir(self) -> Path:
        """The receiver's own database, spool and quarantine."""
        return self.data_dir / "receiver"

    @property
    def receiver_secrets(self) -> Path:
        """The receiver's hospital secret, spool key and credential."""
        return self.receiver_secrets_dir or self.data_dir / "receiver-secrets"

    @property
    def base_url(self) -> str:
        """The address people use, without a slash at its end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        scheme = "https" if self.web.tls_certificate else "http"
        host = "localhost" if self.web.host in ("127.0.0.1", "0.0.0.0", "::", "::1") else self.web.host  # noqa: S104
        return f"{scheme}://{host}:{self.web.port}"

    @property
    def own_dicom_port(self) -> int | None:
        """Port of the receiver on this machine, where there is one, which keeps its spool here."""
        return self.receiver.dicom_port or None if self.receiver_dir.is_dir() else None

    @property
    def mail_server(self) -> Server | None:
        """Where mails are handed over, if anywhere."""
        mail = self.mail
        if not mail.host:
            return None
        own = urlsplit(self.base_url).hostname or "localhost"
        return Server(
            mail.host, mail.port, mail.security, mail.sender, mail.user, mail.password_file, mail.ca_file, own
        )

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for a child process."""
        variables = {}
        for name, value in self.model_dump(mode="json", exclude_defaults=True).items():
            rows = (
                {f"{name}__{key}": inner for key, inner in value.items()}
                if isinstance(value, dict)
                else {name: value}
            )
            for key, inner in rows.items():
                variables[f"WARDLIGHT_{key.upper()}"] = inner if isinstance(inner, str) else json.dumps(inner)
        return variables

    def shown(self) -> dict[str, str]:
        """Every setting by its dotted name, as text, for the audit trail; without the database's user and options."""
        found = {}
        for name, value in self.model_dump(mode="json").items():
            rows = (
                {f"{name}.{key}": inner for key, inner in value.items()}
                if isinstance(value, dict)
                else {name: value}
            )
            for key, inner in rows.items():
                found[key] = inner if isinstance(inner, str) else json.dumps(inner)
        if self.database_url:
            parts = urlsplit(self.database_url)
            found["database_url"] = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
        return found

    def refuse_unsafe(self) -> None:
        """Raise `settings-unsafe` with every reason at once, unless this is the demo."""
        if self.demo:
            return
        reasons = []
        if not self.allow_plain_root:
            reasons.append("the root key lies in a plain file: set allow_plain_root to accept that")
        if len({folder.absolute() for folder in self.keyslots}) < 2 and not self.allow_one_keyslot:
            reasons.append("keyslot_dirs names fewer than two folders")
        if (self.web.tls_certificate is None) != (self.web.tls_key is None):
            reasons.append("web.tls_certificate and web.tls_key go together")
        if not self.web.tls_certificate and not self.web.behind_tls_proxy and not _is_loopback(self.web.host):
            reasons.append("web.host is reachable from the network without TLS")
        if self.receiver.platform_url and (why := unsafe_address(self.receiver.platform_url)):
            reasons.append(f"receiver.platform_url {why}")
        reasons += _unsafe_stores(self)
        reasons += self.mail_server.unsafe() if self.mail_server else []
        secrets, data = self.receiver_secrets.resolve(), self.data_dir.resolve()
        if secrets.is_relative_to(data) and not self.allow_secrets_in_data:
            reasons.append("receiver_secrets_dir lies in data_dir: set allow_secrets_in_data to accept that")
        if reasons:
            raise WardlightError("settings-unsafe", "; ".join(reasons))


#: Settings whose values the audit trail does not tell, only that they changed: a password may stand in them.
UNTOLD: Final = frozenset({"database_url"})


def data_class(name: str) -> DataClass:
    """The class of a setting."""
    return DataClass.SECRET if name in UNTOLD else DataClass.CONFIGURATION


def load(file: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings: defaults, then the TOML file, then the environment, then overrides (`web__port=0`).

    Raises `WardlightError("bad-request")` naming the setting, never its value.
    """
    file = file or (Path(os.environ["WARDLIGHT_CONFIG"]) if os.environ.get("WARDLIGHT_CONFIG") else None)
    in_file: dict[str, Any] = {}
    if file is not None:
        try:
            in_file = tomllib.loads(file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise WardlightError(
                "bad-request", f"the configuration file cannot be read ({type(error).__name__})"
            ) from None
    if "demo" in in_file:
        raise WardlightError("bad-request", "settings not accepted: demo is set by `wardlight demo` only")
    values: dict[str, Any] = {}
    for name, value in overrides.items():
        section, _, key = name.partition("__")
        if key:
            values[section] = {**values.get(section, {}), key: value}
        else:
            values[section] = value
    token = _file_values.set(in_file)
    try:
        return Settings(**values)
    except ValidationError as error:
        names = ", ".join(sorted({".".join(str(part) for part in row["loc"]) for row in error.errors()}))
        raise WardlightError("bad-request", f"settings not accepted: {names}") from None
    finally:
        _file_values.reset(token)


def _unsafe_stores(settings: Settings) -> list[str]:
    """What is unsafe about the ways to the database and the object store."""
    reasons = []
    if settings.database_url:
        parts = urlsplit(settings.database_url)
        options = parse_qs(parts.query)
        named = [parts.hostname or "", *options.get("host", []), *options.get("hostaddr", [])]
        hosts = [host for one in named for host in one.split(",")]
        if parts.scheme not in ("postgresql", "sqlite"):
            reasons.append("database_url is neither postgresql nor sqlite")
        near = all(not host or host.startswith("/") or _is_loopback(host) for host in hosts)
        if parts.scheme != "sqlite" and not near and options.get("sslmode") != ["verify-full"]:
            reasons.append("database_url crosses the network without sslmode=verify-full")
    if not within(settings.objects_place, settings.region):
        reasons.append("objects_url is in another region than this node: see region, s3.region and s3.place")
    if settings.s3.endpoint and (why := unsafe_address(settings.s3.endpoint)):
        reasons.append(f"s3.endpoint {why}")
    return reasons


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def unsafe_address(url: str) -> str:
    """Why secrets and data must not be sent to this address; "" where they may."""
    address = http_address(url)
    if address is None:
        return "is not an http or https address"
    return "is not https" if address.scheme == "http" and not _is_loopback(address.hostname or "") else ""


def http_address(url: str) -> SplitResult | None:
    """The parts of an http or https address; None for any other, and for what readers may take differently: user
    info before the host, a query, a fragment, white space, a backslash. Scheme and host name come in lower case."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    plain = url.isascii() and url.isprintable() and not any(character in url for character in " \\@?#")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not plain:
        return None
    return parts
