"""A server that says the same answer whatever it is asked: the floor under every latency."""

import asyncio
import re
import sys

EVENT = b'data: {"choices": [{"delta": {"content": "a "}}]}\n\n'
BODY = EVENT * 16 + b"data: [DONE]\n\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a connection until its client closes it."""
    try:
        while True:
            length = LENGTH.search(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(ANSWER)
    except asyncio.IncompleteReadError:
        writer.close()


async def serve(port: int) -> None:
    """Listen on loopback until the process is ended."""
    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
