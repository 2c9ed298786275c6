import json

import pytest

from tests.compat.sockets import H2C, Connection, chunked, connected, head
from tests.serving import Server

PATH = "/v1/chat/completions"


def body(text: str) -> bytes:
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": "echo", "messages": messages}).encode()


def fixed(text: str) -> bytes:
    sent = body(text)
    return head("POST", PATH, [("Host", "localhost"), ("Content-Length", len(sent)), *H2C]) + sent


def in_chunks(text: str, size: int) -> bytes:
    fields = [("Host", "localhost"), ("Transfer-Encoding", "chunked"), *H2C]
    return head("POST", PATH, fields) + chunked(body(text), size)


def answer(connection: Connection) -> str:
    reply = connection.receive()
    assert reply.status == 200, reply.body
    content: str = json.loads(reply.body)["choices"][0]["message"]["content"]
    return content


@pytest.mark.parametrize("text", ["hello", "w" * 200_000], ids=["57 bytes", "200 kB"])
def test_a_body_offered_for_h2c_arrives_whole(echo_server: Server, text: str) -> None:
    with connected(echo_server.port) as connection:
        connection.send(fixed(text))

        assert answer(connection) == text


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_chunked_body_offered_for_h2c_arrives_whole(echo_server: Server, size: int) -> None:
    with connected(echo_server.port) as connection:
        connection.send(in_chunks("hello in chunks", size))

        assert answer(connection) == "hello in chunks"


def test_a_connection_takes_request_after_request(echo_server: Server) -> None:
    with connected(echo_server.port) as connection:
        for text in ("one", "two", "three"):
            connection.send(fixed(text))
            assert answer(connection) == text
            connection.send(in_chunks(text, 5))
            assert answer(connection) == text


def test_a_request_may_come_byte_by_byte(echo_server: Server) -> None:
    with connected(echo_server.port) as connection:
        connection.send(*(bytes([byte]) for byte in fixed("slowly")))

        assert answer(connection) == "slowly"


def test_who_expects_100_continue_gets_it_before_the_body_is_sent(echo_server: Server) -> None:
    sent = body("go on")
    fields = [
        ("Host", "localhost"),
        ("Content-Length", len(sent)),
        ("Expect", "100-Continue"),
        *H2C,
    ]
    with connected(echo_server.port) as connection:
        connection.send(head("POST", PATH, fields))
        interim, _ = connection.head()
        connection.send(sent)

        assert interim == 100
        assert answer(connection) == "go on"


def test_a_content_type_may_be_absent_or_come_twice(echo_server: Server) -> None:
    sent = body("twice")
    types = [("Content-Type", "application/json")] * 2
    fields = [("Host", "localhost"), ("Content-Length", len(sent)), *types]
    with connected(echo_server.port) as connection:
        connection.send(head("POST", PATH, fields) + sent)

        assert answer(connection) == "twice"


def test_every_event_of_a_stream_is_whole_in_one_write(echo_server: Server) -> None:
    sent = json.dumps({**json.loads(body("one two three")), "stream": True}).encode()
    with connected(echo_server.port) as connection:
        connection.send(
            head("POST", PATH, [("Host", "localhost"), ("Content-Length", len(sent))]) + sent
        )
        reply = connection.receive()

    assert reply.status == 200
    assert reply.pieces
    assert all(piece.endswith(b"\n\n") for piece in reply.pieces)
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_http_1_0_without_a_host_is_answered(echo_server: Server) -> None:
    with connected(echo_server.port) as connection:
        connection.send(b"GET /health/live HTTP/1.0\r\n\r\n")

        assert connection.receive().status == 200


def test_rubbish_is_answered_with_400_and_the_server_goes_on(echo_server: Server) -> None:
    with connected(echo_server.port) as connection:
        connection.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert connection.receive().status == 400
    with connected(echo_server.port) as connection:
        connection.send(fixed("still here"))
        assert answer(connection) == "still here"
