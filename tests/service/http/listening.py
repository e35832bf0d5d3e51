"""An application behind a real port of this machine, in a thread."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from service.http.server import server_config

__all__ = ["listening_at"]


@contextmanager
def listening_at(app: ASGIApp, timeout: float = 30.0, root_path: str = "") -> Iterator[str]:
    """Yield the address at which `app` answers, as `semid serve` has it answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(server_config(app, timeout, root_path))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
