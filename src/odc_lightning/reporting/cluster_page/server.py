"""A server for a page of clusters on this machine, which saves the names that are given there."""

import hashlib
import json
import mimetypes
import shutil
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from os import fsdecode
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from odc_lightning.naming import as_given_names
from odc_lightning.utils.json_file import MAX_BYTES
from odc_lightning.utils.text import first_line, printable
from odc_lightning.utils.whole_files import whole_file

HOST = "127.0.0.1"
LABELS = "labels.json"
ORIGINALS = "originals/"
Find = Callable[[str], Path | None]


class PageServer(ThreadingHTTPServer):
    """Serves the files of a page, the original images, and ``labels.json``, on the loopback only.

    Browsers send other pages' requests here too, so a request must name this host, and a change
    must come from this page.
    """

    daemon_threads = True

    def __init__(self, folder: Path, labels: Path, find: Find, port: int) -> None:
        """Listen.

        Args:
            folder: of the page.
            labels: the file to save; an existing one is offered to the page.
            find: the file of an image by its name in the run; None if there is none.
            port: 0 for a free one.

        Raises:
            ValueError: the port is in use or not allowed.
        """
        self.labels, self.find = labels, find
        self.saving = Lock()
        try:
            super().__init__((HOST, port), partial(_Requests, directory=str(folder)))
        except (OSError, OverflowError) as error:
            raise ValueError(
                f"port={port} cannot be used ({first_line(error)}); expected a free port of this "
                "machine. Add port=0 to take any"
            ) from error

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://{HOST}:{self.server_port}/"

    def state(self) -> tuple[bytes | None, str]:
        """The saved file and its ETag; None and no text if there is none."""
        try:
            content = self.labels.read_bytes()
        except FileNotFoundError:
            return None, ""
        return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'


class _Requests(SimpleHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        if not self._is_for_this_host():
            return
        path = urlsplit(self.path).path
        if path == f"/{LABELS}":
            content, tag = self.server.state()
            if content is None:
                self._answer(HTTPStatus.NO_CONTENT)
            else:
                self._answer(HTTPStatus.OK, content, "application/json", tag)
        elif path.startswith(f"/{ORIGINALS}"):
            self._send_original(fsdecode(unquote_to_bytes(path.removeprefix(f"/{ORIGINALS}"))))
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        if self._is_for_this_host():
            super().do_HEAD()

    def do_PUT(self) -> None:
        """Save ``labels.json``, unless it has changed since the page read it."""
        if not self._is_for_this_host():
            return
        origin = self.headers.get("Origin")
        length = self.headers.get("Content-Length", "")
        if origin != f"http://{self.headers['Host']}" or self.path != f"/{LABELS}":
            self._refuse(HTTPStatus.FORBIDDEN, "only the page itself can save its labels")
        elif not length.isdecimal() or int(length) > MAX_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the labels are too many")
        else:
            self._save(self.rfile.read(int(length)))

    def _save(self, content: bytes) -> None:
        try:
            as_given_names(json.loads(content))
        except (ValueError, RecursionError) as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, first_line(error))
            return
        with self.server.saving:
            _, tag = self.server.state()
            if self.headers.get("If-Match", "") != tag:
                self._refuse(HTTPStatus.PRECONDITION_FAILED, "labels.json has changed meanwhile")
                return
            try:
                with whole_file(self.server.labels, sync=True) as unfinished:
                    unfinished.write_bytes(content)
            except OSError as error:
                self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, first_line(error))
                return
            self._answer(HTTPStatus.NO_CONTENT, tag=self.server.state()[1])

    def _send_original(self, name: str) -> None:
        path = self.server.find(name)
        try:
            file = None if path is None else path.open("rb")
        except OSError:
            file = None
        if path is None or file is None:
            self._refuse(HTTPStatus.NOT_FOUND, f"no image {printable(name)}")
            return
        with file:
            kind = mimetypes.guess_type(path.name)[0] or ""
            self.send_response(HTTPStatus.OK)
            kind = kind if kind.startswith("image/") else "application/octet-stream"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(path.stat().st_size))
            self.end_headers()
            shutil.copyfileobj(file, self.wfile)

    def _is_for_this_host(self) -> bool:
        port = self.server.server_port
        # A page of another site may name this host, but its browser says where it comes from.
        own = self.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
        if own and self.headers.get("Host") in (f"{HOST}:{port}", f"localhost:{port}"):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, f"expected the address {self.server.address}")
        return False

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._answer(status, f"{reason}\n".encode("utf-8", "replace"), "text/plain; charset=utf-8")

    def _answer(
        self, status: HTTPStatus, content: bytes = b"", kind: str | None = None, tag: str = ""
    ) -> None:
        self.send_response(status)
        if kind is not None:
            self.send_header("Content-Type", kind)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.write(content)

    def end_headers(self) -> None:
        # The data are scripts, which other sites could include, and the page a frame.
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        self._refuse(HTTPStatus.NOT_FOUND, "this page has no such file")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal is the person's."""
