"""Shows a run in the browser: a small HTTP server that only this machine can reach."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hmac
import json
import os
import re
import secrets
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .history import History
from .page import asset, live_page
from .recorder import FOLDER

__all__ = ["Server"]

_LOOPBACK = "127.0.0.1"
_ADDRESS = "address.json"
_ZIPPED_FROM = 10_000  # bytes

_HEADERS = {
    # Nothing but what this server itself sends may be loaded, run or asked.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
}


class Server:
    """Serves the view of one run, until it is closed.

    The address is kept in the folder of the run, so that a page that is open goes on by itself
    when training or server start again.

    Parameters
    ----------
    folder : Path
        Of the run.
    port : int, optional
        By default that of the last time, or any that is free.

    Examples
    --------
    >>> import tempfile
    >>> with Server(Path(tempfile.mkdtemp())) as server:
    ...     server.url
    'http://127.0.0.1:.../'
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        place = folder / FOLDER / _ADDRESS
        last_port, token = _last_address(place)
        self.token = token or secrets.token_urlsafe(24)
        self._http = _listening(_handler(self.token, History(folder)), port, last_port)
        self.port: int = self._http.server_address[1]
        _keep_address(place, self.port, self.token)
        self._thread = threading.Thread(
            target=self._http.serve_forever,
            kwargs={"poll_interval": 0.1},  # how long closing takes
            name="chainrule live view",
            daemon=True,
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Address of the page, with the token."""
        return f"http://{_LOOPBACK}:{self.port}/{self.token}/"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Serve until the process is interrupted."""
        while self._thread.is_alive():
            self._thread.join(1.0)  # without an end, Windows would not notice Ctrl-C


class _HTTP(ThreadingHTTPServer):
    # On Windows this option lets another program take over the port.
    allow_reuse_address = os.name == "posix"
    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self._connections: set[socket.socket] = set()  # first: what fails is closed at once
        super().__init__(*args)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection."""
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening, and hang up: a page keeps its connection and would be answered on."""
        super().server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # it was closed from the other side
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a page that was closed while it was answered: no news for the terminal."""


def _listening(handler: type, port: int | None, last_port: int | None) -> ThreadingHTTPServer:
    if port is not None:
        return _HTTP((_LOOPBACK, port), handler)
    try:
        return _HTTP((_LOOPBACK, last_port or 0), handler)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        return _HTTP((_LOOPBACK, 0), handler)


def _last_address(place: Path) -> tuple[int | None, str | None]:
    """Read where the run was served last; a file that others can read is not trusted."""
    try:
        if os.name == "posix" and place.stat().st_mode & 0o077:
            return None, None
        kept = json.loads(place.read_text())
        port, token = kept["port"], kept["token"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
    valid = isinstance(port, int) and 0 < port < 65536 and isinstance(token, str)
    if not valid or not re.fullmatch(r"[\w-]{32,64}", token, re.ASCII):
        return None, None
    return port, token


def _keep_address(place: Path, port: int, token: str) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # The file gets its mode before it has content.
        place.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(place, flags, 0o600), "w") as file:
            json.dump({"port": port, "token": token}, file)
    except OSError:  # a folder that is only read: the next address is another
        return


def _handler(token: str, history: History) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        pass

    Handler.token, Handler.answers = token, _answers(history)
    return Handler


def _answers(history: History) -> dict[str, Callable[[dict[str, int]], dict[str, Any]]]:
    """Return what can be asked, each with the numbers that the question may carry."""
    return {
        "summary": lambda q: history.summary(),
        "curves": lambda q: history.curves(
            q.get("level", -1), q.get("start", 0), q.get("end"), q.get("limit", 1000)
        ),
        "flow": lambda q: history.flow(q.get("level", -1), q.get("start", 0)),
        "histograms": lambda q: history.histograms(q.get("parameter")),
        "predictions": lambda q: history.predictions(),
        "features": lambda q: history.features(),
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "chainrule", ""
    timeout = 30

    token: str
    answers: dict[str, Callable[[dict[str, int]], dict[str, Any]]]

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        given, slash, name = address.path.removeprefix("/").partition("/")
        # The name in the request is that of a foreign page which had its name resolved to here.
        if self.headers.get("Host") not in self._own_names():
            self._refuse("This server answers only under its own name.")
        elif not hmac.compare_digest(given.encode(), self.token.encode()):
            self._refuse("Open the address that was printed when the view was started.")
        else:
            self._answer(slash + name, address.query)

    def _own_names(self) -> tuple[str, ...]:
        port = self.connection.getsockname()[1]
        return f"{_LOOPBACK}:{port}", f"localhost:{port}"

    def _answer(self, path: str, query: str) -> None:
        name = path.removeprefix("/")
        if path == "/":
            self._send(HTTPStatus.OK, "text/html", live_page().encode())
        elif name in ("view.js", "view.css"):
            kind = "text/javascript" if name == "view.js" else "text/css"
            self._send(HTTPStatus.OK, kind, asset(name).encode())
        elif name in self.answers:
            self._send_answer(name, query)
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"There is no such page.\n")

    def _send_answer(self, name: str, query: str) -> None:
        try:
            numbers = {key: int(values[-1]) for key, values in parse_qs(query).items()}
            if any(not -1 <= number < 2**53 for number in numbers.values()):
                raise ValueError("a number is out of range")
            limit = max(1, min(numbers.get("limit", 1000), 4000))
            content = self.answers[name]({**numbers, "limit": limit})
        except ValueError as error:
            self._send(HTTPStatus.BAD_REQUEST, "text/plain", f"{error}\n".encode())
            return
        except (OSError, LookupError, TypeError, AttributeError) as error:  # a damaged record
            problem = f"the record of the run cannot be read: {error!r}\n"
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", problem.encode())
            return
        text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        self._send(HTTPStatus.OK, "application/json", text.encode())

    def _refuse(self, message: str) -> None:
        self._send(HTTPStatus.FORBIDDEN, "text/plain", f"{message}\n".encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        zipped = len(content) > _ZIPPED_FROM and "gzip" in self.headers.get("Accept-Encoding", "")
        if zipped:
            content = gzip.compress(content, compresslevel=1)
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        if zipped:
            self.send_header("Content-Encoding", "gzip")
        for header, value in _HEADERS.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the terminal belongs to the training."""
