"""The client reads what servers send, in whatever pieces it comes."""

import socket
import threading

import pytest
from bench.web_client import Client, percentile, require

FIXED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 206 Partial\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
)
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture
def serve():
    """A server that answers each request with the next of these bytes, in pieces of so many. It hangs up in place
    of None and after a bytearray."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen = []

    def start(answers, piece=1 << 20):
        answers = iter(answers)

        def work():
            answer = b""
            while answer is not StopIteration:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # The test is over.
                with connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    while request := connection.recv(65536):
                        seen.append(request)
                        answer = next(answers, StopIteration)
                        if answer is None or answer is StopIteration:
                            break
                        for at in range(0, len(answer), piece):
                            connection.sendall(answer[at : at + piece])
                        if isinstance(answer, bytearray):
                            break

        threading.Thread(target=work, daemon=True).start()
        return Client(f"http://127.0.0.1:{listener.getsockname()[1]}/base", {"Authorization": "Bearer t"}, 5)

    yield start, seen
    listener.close()


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_bodies_of_every_framing_one_behind_the_other(serve, piece):
    start, seen = serve
    with start([FIXED, CHUNKED, EMPTY, FIXED], piece) as client:
        answers = [client.get("/x", "text/plain", keep=True) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 206, 204, 200]
    assert [answer.body for answer in answers] == [b"hello", b"hello world", b"", b"hello"]
    assert [answer.length for answer in answers] == [5, 11, 0, 5]
    assert seen[0].startswith(b"GET /base/x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nAuthorization: Bearer t\r\n" in seen[0] and seen[0].endswith(b"\r\n\r\n")


def test_a_body_that_ends_early_is_an_error(serve):
    start, _ = serve
    with start([bytearray(FIXED[:-2])]) as client, pytest.raises(ConnectionError):
        client.get("/x", "*/*")


def test_after_an_error_the_next_request_has_a_new_connection(serve):
    start, _ = serve
    with start([None, FIXED]) as client:
        with pytest.raises(ConnectionError):
            client.get("/x", "*/*")
        assert client.get("/x", "*/*").length == 5


def test_a_server_that_closes_each_connection(serve):
    start, _ = serve
    close = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
    with start([close, close]) as client:
        assert [client.get("/x", "*/*").length for _ in range(2)] == [5, 5]


def test_other_statuses_are_refused(serve):
    start, _ = serve
    with start([FIXED]) as client, pytest.raises(RuntimeError, match="200"):
        require(client.get("/x", "*/*"), 206)


def test_percentiles():
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert percentile([1.0], 0.99) == 1.0
