"""The anchor by mail: what arrives is what was signed, byte for byte, and failures are told."""

from __future__ import annotations

import pytest

from archive_kit import Kit
from notify_kit import a_mail_server, mail_settings
from platform_kit import a_platform
from trail_kit import seal
from wardlight.audit.verifier import read_checkpoints
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY

FIRST, SECOND = "officer@hospital.example", "archive@elsewhere.example"


def test_the_head_arrives_as_it_was_signed_and_fits_the_verifier(tmp_path):
    with a_mail_server() as server, a_platform(**mail_settings(server)) as platform:
        kit = Kit(platform, platform.settings.data_dir)
        seal(platform)
        own = kit.institution.id
        anchor = platform.anchors.add(own, "mail", f"{FIRST}, {SECOND}", by=BY)
        assert anchor.target == f"{FIRST},{SECOND}"
        assert platform.anchors.deliver() == 1
        for address in (FIRST, SECOND):
            [message] = server.to(address)
            [attached] = message.iter_attachments()
            note = attached.get_content()
            path = tmp_path / attached.get_filename()
            path.write_bytes(note)
            [found] = read_checkpoints(path)
            size = int(found.splitlines()[1])
            assert size == platform.anchors.active(own)[0].size > 0
            assert attached.get_filename() == f"checkpoint-{size}.txt"
            assert note.decode().splitlines()[2] in message.get_body(("plain",)).get_content()
        assert platform.anchors.deliver() == 0
        server.answer = lambda to: "550 gone" if to == SECOND else "250 ok"
        platform.anchors.add(own, "mail", SECOND, by=BY)
        assert platform.anchors.deliver() == 0
        assert [one.state for one in platform.anchors.active(own)] == ["", "smtp-550"]


@pytest.mark.parametrize("target", ["", "officer", "a@b.example,", "A <a@b.example>", "a@b.c\nBcc: d@e.f"])
def test_only_plain_mailboxes(target):
    with a_mail_server() as server, a_platform(**mail_settings(server)) as platform:
        refused = pytest.raises(WardlightError, match="bad-request")
        with refused:
            platform.anchors.add(None, "mail", target, by=BY)


def test_no_mail_anchor_without_a_mail_server():
    with a_platform() as platform, pytest.raises(WardlightError, match="an anchor is one of"):
        platform.anchors.add(None, "mail", FIRST, by=BY)
