"""A web server on this machine, with the faults of real ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """Files by path, and what goes wrong with the next answers.

    ranges: whether parts of a file can be asked for. etags: whether files have a version. lengths: whether
    answers have a length. status: answered in place of the file. breaks: bytes after which the connection
    closes, one for each answer. asked: method, path and Range of every request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etags: bool = True
    lengths: bool = True
    status: int = 200
    breaks: list[int] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[Site]:
    """Serve a site on a free port of 127.0.0.1."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            wanted = self.headers.get("Range") or ""
            site.asked.append((self.command, self.path, wanted))
            content = site.files.get(self.path)
            if site.status != 200 or content is None:
                self.send_error(site.status if site.status != 200 else 404)
                return
            etag, first = f'"{hash(content)}"', 0
            same = self.headers.get("If-Range") in (None, etag)
            if wanted and site.ranges and same:
                first = int(wanted.removeprefix("bytes=").rstrip("-"))
            if first and first >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            if site.lengths:
                self.send_header("Content-Length", str(len(content) - first))
            if site.etags:
                self.send_header("ETag", etag)
            self.end_headers()
            if self.command == "GET":
                last = first + site.breaks.pop(0) if site.breaks else len(content)
                self.wfile.write(content[first:last])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
