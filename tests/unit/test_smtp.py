"""Mail goes to the server of the settings alone, by TLS that is believed, and no word leaves before that."""

from __future__ import annotations

import ssl
from email.message import EmailMessage

import pytest

from notify_kit import SENDER, a_mail_server, password_file
from rsyslog import Authority
from wardlight.egress import Egress, Refused, Rules, parse_targets
from wardlight.errors import WardlightError
from wardlight.settings import MailSettings, Settings
from wardlight.smtp import NotSent, Post, Server, is_address

TO = "doctor@hospital.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost", "127.0.0.1"))
    return context


def message(text="Hello\n.\nthere\n"):
    one = EmailMessage()
    one["Subject"], one["From"], one["To"] = "Hello", SENDER, TO
    one.set_content(text)
    return one


def post(server, authority=None, **changes):
    ca = authority.path if authority else None
    where = Server(**{"host": "127.0.0.1", "port": server.port, "security": "starttls", "sender": SENDER,
                      "ca_file": ca, **changes})  # fmt: skip
    return Post(where, Egress(Rules(parse_targets([server.target]), "")))


def test_by_starttls_with_a_login(authority, context, tmp_path):
    with a_mail_server(context=context) as server:
        secret = password_file(tmp_path, "right")
        post(server, authority, user="ward", password_file=secret).send(message(), TO)
        assert server.secure == [True] and server.logins == [("ward", "right")]
        # Before TLS nothing but the greeting.
        assert server.commands[:3] == ["EHLO", "STARTTLS", "EHLO"]
        assert server.to(TO)[0].get_content().replace("\r", "") == "Hello\n.\nthere\n"


def test_by_tls_from_the_first_byte(authority, context):
    with a_mail_server(context=context, at_once=True) as server:
        post(server, authority, security="tls").send(message(), TO)
        assert server.secure == [True] and len(server.to(TO)) == 1


def test_no_mail_where_starttls_is_not_offered_or_the_certificate_is_not_believed(
    authority, context, tmp_path
):
    secret = password_file(tmp_path, "right")
    with a_mail_server(context=context, offers_tls=False) as server:
        with pytest.raises(NotSent, match="no-starttls"):
            post(server, authority, user="ward", password_file=secret).send(message(), TO)
        assert server.got == [] and server.logins == []
    with a_mail_server(context=context) as server:
        for other in (None, Authority(tmp_path, "other")):
            with pytest.raises(ssl.SSLError):
                post(server, other, user="ward", password_file=secret).send(message(), TO)
        assert server.got == [] and server.logins == []


def test_a_wrong_password_and_refusals_are_told_as_words(context, authority, tmp_path):
    secret = password_file(tmp_path, "wrong")
    with a_mail_server(context=context) as server:
        with pytest.raises(NotSent) as caught:
            post(server, authority, user="ward", password_file=secret).send(message(), TO)
        assert (caught.value.reason, caught.value.lasting) == ("smtp-login", False)
    for answer, reason, lasting in (("550 no", "smtp-550", True), ("451 later", "smtp-451", False)):
        with a_mail_server(answer=lambda _to, answer=answer: answer) as server:
            with pytest.raises(NotSent) as caught:
                post(server, security="plain").send(message(), TO)
            assert (caught.value.reason, caught.value.lasting) == (reason, lasting)


def test_the_address_must_be_one_that_the_operator_lets_be_reached():
    with a_mail_server() as server:
        where = Server("127.0.0.1", server.port, "plain", SENDER)
        for targets in ([], ["127.0.0.1/32:26"], ["10.0.0.0/8:25"]):
            with pytest.raises(Refused, match="address-denied"):
                Post(where, Egress(Rules(parse_targets(targets), ""))).send(message(), TO)
        assert server.commands == []
    # In clear to this machine only, whatever is listed.
    elsewhere = Server("192.0.2.1", 25, "plain", SENDER)
    with pytest.raises(Refused, match="not-https"):
        Post(elsewhere, Egress(lambda _address, _port: True)).send(message(), TO)


@pytest.mark.parametrize(
    ("mail", "reason"),
    [
        ({"sender": ""}, "mail.sender"), ({"sender": "a@b.c\nBcc: d@e.f"}, "mail.sender"),
        ({"security": "plain"}, "mail.security"), ({"user": "ward"}, "go together"),
        ({"password_file": "open"}, "others than its owner"), ({"password_file": "none"}, "cannot be read"),
    ],
)  # fmt: skip
def test_unsafe_settings_do_not_start(tmp_path, mail, reason):
    if mail.get("password_file") == "open":
        mail = {"user": "w", "password_file": password_file(tmp_path, "x", 0o644)}
    elif mail.get("password_file"):
        mail = {"user": "w", "password_file": tmp_path / "none"}
    settings = Settings(
        data_dir=tmp_path,
        allow_plain_root=True,
        allow_one_keyslot=True,
        allow_secrets_in_data=True,
        mail=MailSettings(**{"host": "mail.example", "sender": SENDER, **mail}),
    )
    with pytest.raises(WardlightError, match=reason):
        settings.refuse_unsafe()


def test_addresses():
    for good in ("a@b.example", "a.b+c@d-e.example", "o'neil@x.example"):
        assert is_address(good)
    for bad in (
        "",
        "a",
        "@b.c",
        "a@",
        "a@b",
        "a b@c.d",
        "a@b.c ",
        "a@b..c",
        ".a@b.c",
        "a@-b.c",
        '"a"@b.c',
        "ä@b.c",
    ):
        assert not is_address(bad), bad
