"""Settings are typed, frozen, and refuse what would make the promises untrue (security.md section 11, test 29)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from wardlight import settings
from wardlight.errors import WardlightError

SAFE = {
    "allow_plain_root": True,
    "keyslot_dirs": ("a", "b"),
    "receiver_secrets_dir": "elsewhere",
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith("WARDLIGHT_"):
            monkeypatch.delenv(name)


def test_defaults_are_those_of_the_design():
    loaded = settings.load()
    assert (loaded.web.port, loaded.receiver.dicom_port) == (8080, 105)


def test_safe_settings_start():
    settings.load(**SAFE).refuse_unsafe()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"allow_plain_root": False}, "root key"),
        ({"keyslot_dirs": ("a",)}, "keyslot_dirs"),
        ({"web__host": "0.0.0.0"}, "without TLS"),
        ({"receiver__platform_url": "http://platform.example"}, "not https"),
        ({"receiver__platform_url": "HTTP://platform.example"}, "not https"),
        ({"receiver__platform_url": "hTtP://platform.example:80/base"}, "not https"),
        ({"receiver__platform_url": "http://localhost.platform.example"}, "not https"),
        ({"receiver__platform_url": "http://localhost:80@platform.example"}, "not an http"),
        ({"receiver__platform_url": "https://somebody@platform.example"}, "not an http"),
        ({"receiver__platform_url": "http://localhost\\@platform.example"}, "not an http"),
        ({"receiver__platform_url": "http://127.0.0.1#.platform.example"}, "not an http"),
        ({"receiver__platform_url": "http://127.0.0.1?.platform.example"}, "not an http"),
        ({"receiver__platform_url": "http://[::1"}, "not an http"),
        ({"receiver__platform_url": "https://platform.example:x"}, "not an http"),
        ({"receiver__platform_url": "ftp://platform.example"}, "not an http"),
        ({"receiver__platform_url": "platform.example"}, "not an http"),
        ({"receiver_secrets_dir": None}, "receiver_secrets_dir"),
        ({"receiver_secrets_dir": "wardlight-data/receiver/../secrets"}, "receiver_secrets_dir"),
        ({"web__tls_certificate": "cert.pem"}, "go together"),
        ({"database_url": "postgresql://w@db.example/w"}, "database_url crosses"),
        ({"database_url": "postgresql://w@db.example/w?sslmode=require"}, "database_url crosses"),
        ({"database_url": "postgresql://w@localhost/w?host=db.example"}, "database_url crosses"),
        ({"database_url": "postgresql://w@/w?host=/run&host=db.example"}, "database_url crosses"),
        ({"database_url": "postgresql://w@/w?host=db.example&host=/run"}, "database_url crosses"),
        ({"database_url": "postgresql://w@/w?host=/run,db.example"}, "database_url crosses"),
        ({"database_url": "postgresql://w@localhost/w?hostaddr=192.0.2.1"}, "database_url crosses"),
        ({"database_url": "mysql://w@localhost/w"}, "neither postgresql nor sqlite"),
        ({"s3__endpoint": "http://s3.example"}, "s3.endpoint is not https"),
        ({"s3__endpoint": "http://localhost.s3.example:9000"}, "s3.endpoint is not https"),
        ({"s3__endpoint": "ftp://localhost"}, "s3.endpoint is not an http"),
    ],
)
def test_unsafe_settings_refuse_outside_demo(change, word):
    with pytest.raises(WardlightError) as error:
        settings.load(**{**SAFE, **change}).refuse_unsafe()
    assert error.value.code == "settings-unsafe"
    assert word in error.value.detail
    settings.load(**{**SAFE, **change}, demo=True).refuse_unsafe()


@pytest.mark.parametrize(
    "url",
    ["https://platform.example", "HTTPS://Platform.Example:8443/base/", "http://127.0.0.1:8080", "http://[::1]:1",
     "HTTP://LocalHost"],
)  # fmt: skip
def test_safe_platform_addresses_start(url):
    settings.load(**SAFE, receiver__platform_url=url).refuse_unsafe()


@pytest.mark.parametrize(
    "chosen",
    [
        {"database_url": "postgresql://w@db.example/w?sslmode=verify-full"},
        {"database_url": "postgresql://w@/w?host=/run/postgresql"},
        {"database_url": "postgresql://w@127.0.0.1:5433/w"},
        {"s3__endpoint": "https://s3.example:9000"},
        {"s3__endpoint": "http://127.0.0.1:8333"},
    ],
)
def test_safe_stores_start(chosen):
    settings.load(**SAFE, **chosen).refuse_unsafe()


def test_secrets_in_the_data_folder_start_when_that_is_said():
    settings.load(**{**SAFE, "receiver_secrets_dir": None}, allow_secrets_in_data=True).refuse_unsafe()


def test_secrets_reached_through_a_link_lie_in_the_data_folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    chosen = {**SAFE, "data_dir": tmp_path / "data", "receiver_secrets_dir": tmp_path / "link" / "secrets"}
    with pytest.raises(WardlightError) as error:
        settings.load(**chosen).refuse_unsafe()
    assert "receiver_secrets_dir" in error.value.detail


def test_an_unknown_setting_is_refused_by_name_without_its_value(tmp_path):
    file = tmp_path / "w.toml"
    file.write_text('databse_url = "CANARY"\n')
    with pytest.raises(WardlightError) as error:
        settings.load(file)
    assert "databse_url" in str(error.value)
    assert "CANARY" not in str(error.value)


def test_a_broken_file_is_one_clear_error(tmp_path):
    file = tmp_path / "w.toml"
    file.write_text("= nonsense")
    with pytest.raises(WardlightError, match="configuration file"):
        settings.load(file)


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    file = tmp_path / "w.toml"
    file.write_text("[web]\nport = 1111\n")
    monkeypatch.setenv("WARDLIGHT_WEB__PORT", "2222")
    assert settings.load(file).web.port == 2222


def test_the_command_line_wins_over_environment_and_file(tmp_path, monkeypatch):
    file = tmp_path / "w.toml"
    file.write_text('node = "file"\n[web]\nport = 1111\nhost = "::1"\n[receiver]\ndicom_port = 7\n')
    monkeypatch.setenv("WARDLIGHT_WEB__PORT", "2222")
    monkeypatch.setenv("WARDLIGHT_RECEIVER__DICOM_PORT", "8")
    loaded = settings.load(file, web__port=3333)
    assert (loaded.web.port, loaded.web.host, loaded.receiver.dicom_port, loaded.node) == (
        3333,
        "::1",
        8,
        "file",
    )


def test_settings_are_frozen():
    loaded = settings.load()
    with pytest.raises(ValidationError):
        loaded.node = "other"


def test_a_child_process_reads_the_same_settings(monkeypatch):
    original = settings.load(**SAFE, demo=True, web__port=81, receiver__dicom_port=0, completion_quiet_s=0.5)
    for name, value in original.environment().items():
        monkeypatch.setenv(name, value)
    assert settings.load() == original
