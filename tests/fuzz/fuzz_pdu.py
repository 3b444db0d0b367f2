"""Atheris target: the PDU codec and a whole association as the acceptor sees it, the same for any cut of the bytes.

Run: `python tests/fuzz/fuzz_pdu.py -max_total_time=180`. Raw bytes mostly die at the first header, so one half of the
runs sends a scripted association with damage in it.
"""

from __future__ import annotations

import struct
import sys

import atheris

with atheris.instrument_imports():
    from wardlight.dicom.dimse import command as dimse
    from wardlight.dicom.dimse import pdu
    from wardlight.dicom.dimse.acceptor import Acceptor, Associating, Data, Ended, Limits, Message, Released
    from wardlight.dicom.dimse.command import Command
    from wardlight.dicom.dimse.errors import PduError
    from wardlight.dicom.dimse.items import UserInformation
    from wardlight.dicom.dimse.negotiation import negotiate

CT, IMPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"
REQUEST = pdu.encode(
    pdu.AssociateRequest("A", "B", (pdu.ProposedContext(1, CT, (IMPLICIT,)),), UserInformation(100))
)
STORE = dimse.encode(Command(1, 1, sop_class=CT, sop_instance="1.2", priority=0, has_data_set=True))


def outcome(stream: bytes, step: int) -> tuple[object, ...]:
    """What the owner of an acceptor sees and sends, if `stream` comes in pieces of `step` bytes."""
    limits = Limits(pdu=2048, associate=4096, command=1024, contexts=8)
    acceptor = Acceptor(limits, lambda: 0.0)
    seen: list[object] = []
    sent = bytearray()
    data = bytearray()
    pending: Message | None = None
    for start in range(0, len(stream), step):
        part = stream[start : start + step]
        while part and not acceptor.ended:
            space = acceptor.space()
            assert len(space) > 0
            count = min(len(space), len(part))
            space[:count] = part[:count]
            part = part[count:]
            for event in acceptor.received(count):
                match event:
                    case Associating(request):
                        seen.append(request)
                        answer = negotiate(request, maximum_length=limits.pdu, unknown_syntaxes=True)
                        acceptor.accept(answer, request.user.maximum_length)
                    case Message(context_id, _, command):
                        assert pending is None
                        seen.append(command)
                        if command.has_data_set:
                            pending = event
                        else:
                            acceptor.respond(context_id, dimse.response(command, 0))
                    case Data(view, last):
                        assert pending is not None
                        data += view
                        if last:
                            seen.append(bytes(data))
                            data.clear()
                            acceptor.respond(pending.context_id, dimse.response(pending.command, 0))
                            pending = None
                    case Released():
                        seen.append("released")
                    case Ended(code, by_peer):
                        seen.append((code, by_peer))
                sent += acceptor.take_output()
            sent += acceptor.take_output()
    return seen, bytes(sent), acceptor.state


def decode(kind: int, body: bytes) -> None:
    """A PDU or the typed error; what decodes is encoded and decoded to the same."""
    try:
        value = pdu.decode(kind, body)
    except PduError as error:
        assert 0 <= error.offset <= len(body)
        return
    if isinstance(value, pdu.AssociateRequest | pdu.AssociateAccept):
        return  # Padding and unknown items are dropped, so that only the next form is stable.
    assert pdu.decode(kind, pdu.encode(value)[6:]) == value


def scripted(provider: atheris.FuzzedDataProvider) -> bytes:
    """An association with good and bad parts."""
    stream = bytearray(REQUEST)
    for _ in range(provider.ConsumeIntInRange(0, 12)):
        choice = provider.ConsumeIntInRange(0, 5)
        fragment = provider.ConsumeBytes(provider.ConsumeIntInRange(0, 60))
        if choice == 0:
            value = pdu.DataValue(1, True, True, STORE)
            stream += pdu.encode(pdu.DataTransfer((value,)))
        elif choice == 1:
            value = pdu.DataValue(1, False, provider.ConsumeBool(), fragment)
            stream += pdu.encode(pdu.DataTransfer((value, value)))
        elif choice == 2:
            length, context, control = (provider.ConsumeIntInRange(0, 80) for _ in range(3))
            stream += struct.pack(">BxIIBB", 4, provider.ConsumeIntInRange(0, 90), length, context, control)
            stream += fragment
        elif choice == 3:
            stream += struct.pack(">BxI", provider.ConsumeIntInRange(0, 9), len(fragment)) + fragment
        elif choice == 4:
            value = pdu.DataValue(1, True, provider.ConsumeBool(), fragment)
            stream += pdu.encode(pdu.DataTransfer((value,)))
        else:
            stream += fragment
    if provider.ConsumeBool() and stream:
        stream[provider.ConsumeIntInRange(0, len(stream) - 1)] = provider.ConsumeIntInRange(0, 255)
    return bytes(stream)


def test_one_input(data: bytes) -> None:
    """Called by libFuzzer."""
    provider = atheris.FuzzedDataProvider(data)
    step = provider.ConsumeIntInRange(1, 100)
    kind = provider.ConsumeIntInRange(0, 8)
    stream = scripted(provider) if provider.ConsumeBool() else provider.ConsumeBytes(4000)
    decode(kind, stream[6:])
    whole, cut = outcome(stream, max(1, len(stream))), outcome(stream, step)
    assert whole == cut, (whole, cut)


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
