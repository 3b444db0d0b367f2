"""The platform is away for the whole send; the disk fills while objects come in."""

from __future__ import annotations

import os
import socket
import subprocess
import threading

import pytest
from bench.fast_store_scu import Refused, Sender

import live
import small_objects


def forward(port: int, target: int) -> socket.socket:
    """Forward TCP connections from `port` to `target` until the listener is closed."""
    listener = socket.create_server(("127.0.0.1", port))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            sink.close()

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", target))
            except OSError:
                return
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


@pytest.mark.long
def test_platform_unreachable_for_the_whole_send_then_back(tmp_path):
    port = live.free_port()
    environment = {"WARDLIGHT_RECEIVER__PLATFORM_URL": f"http://127.0.0.1:{port}"}
    with live.installation(tmp_path, environment=environment) as wardlight:
        objects = [small_objects.instance(number) for number in range(120)]
        pair = (objects[0].sop_class, objects[0].transfer_syntax)
        with Sender(wardlight.dicom_port, [pair], called_ae=wardlight.ae_titles["identified"]) as sender:
            assert all(sender.store(one).status == 0 for one in objects)
        status = live.wait_until(
            lambda: (row := wardlight.receiver_status())["queue"]["objects"] == 120 and row,
            30,
            "120 waiting objects",
        )
        assert wardlight.count() == 0
        assert status["platform"]["reachable"] is False
        listener = forward(port, wardlight.web_port)
        try:
            live.wait_until(lambda: wardlight.count() == 120, 120, "the upload after the platform came back")
            live.wait_until(
                lambda: wardlight.receiver_status()["queue"]["objects"] == 0, 30, "an empty queue"
            )
        finally:
            listener.close()
        assert wardlight.wardlight("fsck", "--deep", check=False).returncode == 0


@pytest.mark.long
@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_disk_full_during_receive(tmp_path):
    """A file system of 48 MB for the receiver: refused with A700, and what was acknowledged is kept."""
    receiver = tmp_path / "data" / "receiver"
    receiver.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(receiver)], check=True)
    port = live.free_port()  # Nothing listens here yet: the spool cannot empty itself while it fills.
    environment = {
        "WARDLIGHT_RECEIVER__PLATFORM_URL": f"http://127.0.0.1:{port}",
        # Let the disk fill to the last byte, so that the error comes in the middle of an object.
        "WARDLIGHT_RECEIVER__FREE_SHARE": "0",
    }
    try:
        with live.installation(tmp_path, environment=environment) as wardlight:
            kept, refused = [], 0
            for number in range(200):
                one = small_objects.instance(number, size=512, prefix="9")
                pair = (one.sop_class, one.transfer_syntax)
                try:
                    with Sender(
                        wardlight.dicom_port, [pair], called_ae=wardlight.ae_titles["identified"]
                    ) as sender:
                        status = sender.store(one).status
                except Refused:
                    raise AssertionError("the association was aborted instead of answered") from None
                if status == 0:
                    kept.append(one.sop_instance)
                else:
                    assert status == 0xA700
                    refused += 1
                    if refused >= 5:
                        break
            assert refused == 5 and len(kept) >= 20
            status = wardlight.receiver_status()
            assert status["queue"]["objects"] == len(kept)
            assert status["platform"]["reachable"] is False
            assert wardlight.count() == 0
            listener = forward(port, wardlight.web_port)
            try:
                live.wait_until(lambda: wardlight.count() == len(kept), 120, "what was acknowledged")
                live.wait_until(
                    lambda: wardlight.receiver_status()["queue"]["objects"] == 0, 60, "an empty queue"
                )
                # With the spool empty again, the receiver takes objects as before.
                one = small_objects.instance(999, prefix="9")
                pair = (one.sop_class, one.transfer_syntax)

                def taken() -> bool:
                    with Sender(
                        wardlight.dicom_port, [pair], called_ae=wardlight.ae_titles["identified"]
                    ) as sender:
                        return sender.store(one).status == 0

                live.wait_until(taken, 90, "room again")
            finally:
                listener.close()
            assert wardlight.wardlight("fsck", "--deep", check=False).returncode == 0
    finally:
        subprocess.run(["umount", "-l", str(receiver)], check=True)
