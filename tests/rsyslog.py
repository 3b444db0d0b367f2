"""A collector as hospitals run it: Debian's rsyslog over TLS, with certificates on both sides, on this machine only."""

from __future__ import annotations

import base64
import ipaddress
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PROGRAM = "/usr/sbin/rsyslogd"
CLIENT = "wardlight.example"


class Authority:
    """Signs certificates of both sides, and keeps all of it in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = (
            _builder(subject, subject, self.key.public_key())
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(usage, True)
            .sign(self.key, hashes.SHA256())
        )
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *addresses: str) -> tuple[Path, Path]:
        """Files of a certificate for this name and these addresses, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            _builder(_name(name), self.certificate.subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), False)
            .add_extension(x509.ExtendedKeyUsage(usages), False)
            .sign(self.key, hashes.SHA256())
        )
        stem = self.folder / f"{self.name}-{name}"
        stem.with_suffix(".crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        stem.with_suffix(".key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return stem.with_suffix(".crt"), stem.with_suffix(".key")


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


@dataclass
class Collector:
    """A running rsyslogd: it takes connections of `CLIENT` alone, and writes each message as it came to a file."""

    folder: Path
    authority: Authority
    names: tuple[str, ...] = ("localhost", "127.0.0.1")
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def file(self) -> Path:
        return self.folder / "messages"

    def start(self) -> None:
        certificate, key = self.authority.issue(*self.names)
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        configuration = self.folder / "rsyslog.conf"
        configuration.write_text(f"""
global(workDirectory="{self.folder}" maxMessageSize="64k" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{self.authority.path}" defaultNetstreamDriverCertFile="{certificate}"
  defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/name"
  PermittedPeer=["{CLIENT}"])
input(type="imtcp" port="{self.port}" address="127.0.0.1" listenPortFileName="{port_file}")
template(name="raw" type="string" string="%rawmsg%\\n")
*.* action(type="omfile" file="{self.file}" template="raw")
""")
        command = [PROGRAM, "-n", "-f", str(configuration), "-i", "NONE"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        if not self.port:
            wait_for(lambda: port_file.exists() and port_file.read_text().strip())
            self.port = int(port_file.read_text())
        wait_for(self._listens)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.send_signal(signal.SIGCONT)
        self.process.wait(10)

    def messages(self) -> list[bytes]:
        """What is in its file, whole lines."""
        data = self.file.read_bytes() if self.file.exists() else b""
        return data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]

    def indexes(self) -> list[int]:
        """The log-index of each message, in the order in which they came."""
        return [index_of(message) for message in self.messages()]


def index_of(message: bytes) -> int:
    found = re.search(rb'type="log-index" value="([^"]+)"', message)
    assert found, message[:200]
    return int(base64.b64decode(found[1]))


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
