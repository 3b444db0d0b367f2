"""Security test 29: no process starts with settings that would make the promises untrue, and none leaves a trace."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SAFE = 'allow_plain_root = true\nkeyslot_dirs = ["{folder}/a", "{folder}/b"]\n'
UNSAFE = {
    "plain root file": 'keyslot_dirs = ["{folder}/a", "{folder}/b"]\n',
    "one keyslot mirror": "allow_plain_root = true\n",
    "no TLS": SAFE + '[web]\nhost = "0.0.0.0"\n',
    "platform without TLS": SAFE + '[receiver]\nplatform_url = "http://platform.example"\n',
}


def run(folder, settings: str, *command: str) -> subprocess.CompletedProcess[str]:
    file = folder / "wardlight.toml"
    file.write_text(f'data_dir = "{folder}/data"\n' + settings.replace("{folder}", str(folder)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WARDLIGHT_")}
    return subprocess.run(
        [sys.executable, "-m", *command], env={**environment, "WARDLIGHT_CONFIG": str(file)},
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["serve", "web", "worker", "receiver"])
def test_every_process_refuses(tmp_path, command):
    done = run(tmp_path, "", "wardlight", command)
    assert done.returncode == 1
    assert "settings-unsafe" in done.stderr and "root key" in done.stderr and "keyslot_dirs" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists(), "nothing is made before the decision"


@pytest.mark.parametrize("what", UNSAFE)
def test_each_reason_is_enough(tmp_path, what):
    done = run(tmp_path, UNSAFE[what], "wardlight", "serve")
    assert done.returncode == 1
    assert "settings-unsafe" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("module", ["wardlight.receiver.node", "wardlight.receiver.pipeline"])
def test_a_process_of_the_receiver_started_past_its_supervisor_refuses_too(tmp_path, module):
    done = run(tmp_path, "", module, *(("0", "1") if module.endswith("pipeline") else ()))
    assert done.returncode == 1
    assert "settings-unsafe" in done.stderr + done.stdout or "WardlightError" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_file_cannot_call_itself_a_demo(tmp_path):
    done = run(tmp_path, "demo = true\n", "wardlight", "serve")
    assert done.returncode == 1
    assert "demo" in done.stderr
    assert not (tmp_path / "data").exists()


def test_nothing_secret_is_built_in(tmp_path):
    """Two demos share no key, token or secret: there is none that an attacker could know beforehand."""
    secrets = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        done = run(folder, "", "wardlight", "admin", "institution", "create", "mary", "--name", "Mary")
        assert done.returncode == 0, done.stderr
        keys = {path.name: path.read_bytes() for path in (folder / "data" / "root").iterdir()}
        assert keys
        secrets.append(keys)
    for name, content in secrets[0].items():
        assert content != secrets[1][name]
