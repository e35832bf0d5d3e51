"""A reverse proxy that takes a path off, as nginx, Caddy or Traefik are told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

__all__ = ["proxied"]
HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "content-encoding"}


@contextmanager
def proxied(address: str, path: str) -> Iterator[str]:
    """Yield the address of a service under a path of another server; what is beside is a 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{path}/"):
                self.send_error(404)
                return
            length = int(self.headers.get("Content-Length", 0))
            answer = httpx.request(
                self.command,
                address + self.path.removeprefix(path),
                headers={name: self.headers[name] for name in self.headers if name != "Host"},
                content=self.rfile.read(length),
            )
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{path}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
