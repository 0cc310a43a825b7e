"""One HTTP transfer into a file: only the bytes that were asked for, from where it is safe, within a time."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import stat
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archzoo.errors import WeightsError

CHUNK = 1 << 20  # bytes
TIMEOUT = 30  # seconds without a byte
HEADERS = 60  # seconds until the headers are there, redirects included
WINDOW, LEAST = 60, 1 << 16  # in each of so many seconds, at least so many bytes arrive
STRONG_ETAG = r'"[\x21\x23-\x7e]{1,500}"'  # a weak one may be that of other bytes
LARGEST = 4 << 30  # bytes; the largest published file has 575 million
PAGES = (
    "text/html",
    "text/xml",
    "application/xhtml+xml",
    "application/xml",
    "application/json",
    "multipart/byteranges",
)


@dataclass(frozen=True)
class Arrival:
    """What arrived: whether an earlier part was continued, and the SHA-256 that the server states, or nothing."""

    resumed: bool
    sha256: str


def transfer(url: str, partial: Path) -> Arrival:
    """Get a file, or the rest of it where ``partial`` holds a part of the same one, which its validator shows.

    Raises OSError or HTTPException for an interruption, after which another call continues, and WeightsError for an
    answer that would be no better the next time.
    """
    redirects = _Redirects()
    size, validator = _part(partial)
    headers = {"Accept-Encoding": "identity"}
    if size:
        headers |= {"Range": f"bytes={size}-", "If-Range": validator}
    with _opened(urllib.request.Request(url, headers=headers), redirects) as (response, sockets):
        resumed = _check_answer(url, response, size)
        if resumed and response.headers.get("ETag") != validator:
            raise WrongRange("the server sent the rest of another version of the file")
        total = _total(url, response, size if resumed else 0)
        _check_room(url, partial, (total or 0) - (size if resumed else 0))
        if not resumed:
            _keep_validator(partial, response)
        with partial.open("ab" if resumed else "wb") as file:
            _copy(url, response, file, sockets)
            file.flush()
            os.fsync(file.fileno())
    arrived = partial.stat().st_size
    if total is not None and arrived != total:
        raise OSError(f"the connection ended after {arrived:,} of {total:,} bytes")
    if not arrived and total is None:  # headers that are cut off end as if they were complete
        raise OSError("the connection ended before the file")
    if not arrived:
        raise WeightsError(f"{url}: the server sent an empty file")
    return Arrival(resumed, redirects.sha256)


def discard(partial: Path) -> None:
    """Remove a part of a file and its validator."""
    partial.unlink(missing_ok=True)
    _validator_path(partial).unlink(missing_ok=True)


def _part(partial: Path) -> tuple[int, str]:
    """The size of a part and the validator of its file; 0 without one, since the rest could be another file's."""
    with contextlib.suppress(OSError, ValueError):
        status = partial.lstat()
        if not stat.S_ISREG(status.st_mode):  # a link leads elsewhere, and to write to a FIFO would wait for ever
            discard(partial)
            return 0, ""
        validator = _validator_path(partial).read_text(encoding="ascii")
        if re.fullmatch(STRONG_ETAG, validator):  # a disk that was full leaves an empty one
            return status.st_size, validator
    return 0, ""


def _keep_validator(partial: Path, response: Any) -> None:
    """Store what identifies this very content: a strong ETag. Removes the earlier part, which is of other content."""
    discard(partial)
    etag = response.headers.get("ETag") or ""
    if re.fullmatch(STRONG_ETAG, etag):
        _validator_path(partial).write_text(etag, encoding="ascii")


def _validator_path(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.etag")


def _check_answer(url: str, response: Any, size: int) -> bool:
    """Whether the answer is the rest from ``size`` on, and not the whole file. Raises WeightsError if it is neither."""
    status = getattr(response, "status", None) or 200
    kind, encoding = response.headers.get("Content-Type", ""), response.headers.get("Content-Encoding", "identity")
    if status not in (200, 206) or (status == 206 and not size):
        raise WeightsError(f"{url}: the server answered {status} instead of 200, the whole file")
    if kind.partition(";")[0].strip().lower() in PAGES:
        raise WeightsError(f"{url}: the server sent a page of {kind.partition(';')[0]}, not the file")
    if encoding.strip().lower() not in ("", "identity"):
        raise WeightsError(f"{url}: the server sent the file encoded as {encoding}, which was not asked for")
    return bool(status == 206)


def _total(url: str, response: Any, start: int) -> int | None:
    """The size of the whole file, or None. Raises OSError for another range than the one asked for, or none."""
    lengths = response.headers.get_all("Content-Length") or []
    if len(set(lengths)) > 1 or not all(re.fullmatch(r"\d{1,18}", length.strip()) for length in lengths):
        raise WeightsError(f"{url}: the server sent the length {' and '.join(lengths)}")
    total = start + int(lengths[0]) if lengths else None
    if start:
        found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != start or (total is not None and int(found[2]) + 1 != total):
            raise WrongRange(f"bytes from {start:,} on were asked for, not {response.headers.get('Content-Range')!r}")
        total = int(found[2]) + 1 if found[3] == "*" else int(found[3])
    return total


class WrongRange(OSError):
    """The server sent another part of the file than the one asked for."""


def _check_room(url: str, partial: Path, missing: int) -> None:
    free = shutil.disk_usage(partial.parent).free
    if missing > LARGEST:
        raise WeightsError(f"{url} has {missing:,} bytes, more than weights have ({LARGEST:,})")
    if missing > free:
        raise WeightsError(f"{url} needs {missing:,} bytes in {partial.parent}, which has {free:,} free")


def _copy(url: str, response: Any, file: Any, sockets: list[socket.socket]) -> None:
    """Write the body to a file. Raises OSError where fewer than ``LEAST`` bytes arrive in ``WINDOW`` seconds."""
    read = getattr(response, "read1", response.read)  # what is there, where read waits for a whole chunk
    since, arrived, total = time.monotonic(), 0, 0
    timer = _timer(2 * WINDOW, sockets)  # one read ends by no window: it takes the sizes of chunks, and trailers
    try:
        while chunk := read(CHUNK):
            file.write(chunk)
            arrived, total = arrived + len(chunk), total + len(chunk)
            if total > LARGEST:
                raise WeightsError(f"{url} sent more than {LARGEST:,} bytes")
            if time.monotonic() - since > WINDOW:
                if arrived < LEAST:
                    raise TimeoutError(f"only {arrived:,} bytes arrived in {WINDOW} seconds")
                since, arrived = time.monotonic(), 0
                timer.cancel()
                timer = _timer(2 * WINDOW, sockets)
    finally:
        timer.cancel()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https, from http also to http. Notes the SHA-256 that Hugging Face states on the way."""

    sha256 = ""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except WeightsError:
            raise
        except ValueError as error:  # of the address or of its host
            fp.close()
            raise WeightsError(f"{req.full_url} leads to an address that is none: {str(error)[:200]}") from error

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        fp.close()  # or its body would be read, however long it is
        scheme = newurl.partition(":")[0].lower()
        if scheme != "https" and not (scheme == "http" and req.type == "http"):
            raise WeightsError(f"{req.full_url} redirects to {newurl}, which is not https")
        stated = (headers.get("X-Linked-ETag") or "").strip('"')
        self.sha256 = stated if re.fullmatch("[0-9a-f]{64}", stated) else self.sha256
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def _opened(request: urllib.request.Request, redirects: _Redirects) -> Iterator[tuple[Any, list[socket.socket]]]:
    """The response of a request, whose headers arrive within ``HEADERS`` seconds or not at all, and its sockets."""
    sockets: list[socket.socket] = []
    opener = urllib.request.build_opener(_http(sockets), _https(sockets), redirects)
    timer = _timer(HEADERS, sockets)
    try:
        response = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        raise
    finally:
        timer.cancel()
    with response:
        yield response, sockets


def _timer(seconds: float, sockets: list[socket.socket]) -> threading.Timer:
    """A timer that ends the connections after so many seconds, and with them the read that waits, unless cancelled."""
    timer = threading.Timer(seconds, _end, [sockets])
    timer.daemon = True
    timer.start()
    return timer


def _end(sockets: list[socket.socket]) -> None:
    for opened in sockets:
        with contextlib.suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)  # ends the read that another thread waits for


def _recorded(kind: Any, sockets: list[socket.socket]) -> Any:
    class Connection(kind):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    return Connection


def _http(sockets: list[socket.socket]) -> urllib.request.HTTPHandler:
    class Handler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(_recorded(http.client.HTTPConnection, sockets), req)

    return Handler()


def _https(sockets: list[socket.socket]) -> urllib.request.HTTPSHandler:
    class Handler(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> Any:
            context = ssl.create_default_context()  # reads all certificates, which a request over http does not need
            return self.do_open(_recorded(http.client.HTTPSConnection, sockets), req, context=context)

    return Handler()
