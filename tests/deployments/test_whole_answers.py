import asyncio
import select
import socket

import uvicorn
from starlette.types import Receive, Scope, Send

from deployments.whole_answers import write_answers_whole


def test_the_head_of_an_answer_waits_for_its_body() -> None:
    write_answers_whole()
    asyncio.run(_ask_twice())


async def _ask_twice() -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"whole"})

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(app, http="httptools", lifespan="off", log_level="warning")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        with socket.create_connection(listening.getsockname()) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            await asyncio.sleep(0.3)  # the app has sent its head by now
            assert select.select([client], [], [], 0.0)[0] == []
            go_on.set()
            answer = await asyncio.to_thread(client.recv, 65_536)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"\r\n\r\nwhole")
            client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            again = await asyncio.to_thread(client.recv, 65_536)
            assert again.endswith(b"\r\n\r\nwhole")
            assert await asyncio.to_thread(client.recv, 1) == b""  # closed, behind the last byte
        server.should_exit = True
        await serving
