"""Downloads from a server that does what servers do: nothing wrong is kept, nothing hangs, nothing is asked twice."""

import hashlib
import http.server
import io
import os
import shutil
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

import archzoo
from archzoo.errors import WeightsError
from archzoo.weights import PUBLISHED, PublishedWeights, _digests
from archzoo.weights import _download as download
from archzoo.weights import _locks as locks
from archzoo.weights import _published as published
from archzoo.weights import _transfers as transfers
from archzoo.weights._archives import cached_member
from archzoo.weights._download import cached_file
from archzoo.weights._libraries import names_in
from archzoo.weights._reading import read_state

BODY = save({"weight": torch.arange(20_000, dtype=torch.float32)})
Answer = Callable[[Any], None]


class Server(http.server.BaseHTTPRequestHandler):
    """Gives the next of ``answers`` to each request, and the last one to all that follow."""

    answers: list[Answer]
    asked: list[dict[str, str]]

    def do_GET(self) -> None:
        kind = type(self)
        kind.asked.append(dict(self.headers))
        answer = kind.answers.pop(0) if len(kind.answers) > 1 else kind.answers[0]
        try:
            answer(self)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


def says(
    body: bytes = BODY, status: int = 200, sent: int | None = None, etag: str = '"1"', length: str = "", **headers: Any
) -> Answer:
    """An answer of this body, of which the first ``sent`` bytes are sent. ``_`` in a header's name is ``-``."""

    def answer(request: Any) -> None:
        request.send_response(status)
        request.send_header("Content-Length", length or str(len(body)))
        if etag:
            request.send_header("ETag", etag)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body[:sent])

    return answer


def rest_from(start: int, of: bytes = BODY, **headers: str) -> Answer:
    """The answer of a good server to a request for the rest."""
    span: dict[str, Any] = {"Content_Range": f"bytes {start}-{len(of) - 1}/{len(of)}"} | headers
    return says(of[start:], 206, **span)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(download, "PAUSE", 0)
    Server.asked, Server.answers = [], [says()]
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}/w.safetensors"
    running.shutdown()
    thread.join()
    running.server_close()


def fetch(url: str, folder: Path, digest: str = "") -> Path:
    return cached_file(url, "w.safetensors", digest, folder, check=read_state)


SPAN = f"bytes 1000-{len(BODY) - 1}/{len(BODY)}"
HTML = b"<!DOCTYPE html><html><body>Log in to the network of this hotel</body></html>"
BAD: dict[str, tuple[list[Answer], str]] = {
    "page": ([says(HTML, Content_Type="text/html; charset=utf-8")], "sent a page of text/html"),
    "page as bytes": ([says(HTML, Content_Type="application/octet-stream")], "cannot be read, and that is not kept"),
    "json": ([says(b'{"error": "no"}', Content_Type="application/json")], "sent a page of application/json"),
    "empty": ([says(b"")], "sent an empty file"),
    "cut off without a length": ([says(BODY[:-9], length=str(len(BODY) - 9))], "cannot be read, and that is not kept"),
    "cut off each time at the same byte": ([says(sent=0)], r"ended after 0 of 80,\d\d\d bytes"),
    "another encoding": ([says(Content_Encoding="gzip")], "encoded as gzip"),
    "a part that nobody asked for": ([rest_from(10)], "answered 206 instead of 200"),
    "no content": ([says(b"", 204)], "answered 204"),
    "no number as length": ([says(length="many")], "sent the length many"),
    "a huge length": ([says(length="9" * 17)], "more than weights have"),
    "another length of the whole": (
        [says(sent=100), rest_from(9)],
        "answered 206",
    ),
    "not found": ([says(b"", 404)], "404 Not Found"),
    "a redirect to a file": ([says(b"", 302, Location="file:///etc/passwd")], "file:///etc/passwd"),
    "a redirect to ftp": (
        [says(b"", 302, Location="ftp://127.0.0.1/w")],
        "redirects to ftp://127.0.0.1/w, which is not",
    ),
    "redirects in a circle": ([says(b"", 302, Location="/w")], "302"),
    "no HTTP": ([lambda request: request.wfile.write(b"\x00" * 99)], "could not download"),
    "a header without end": (
        [lambda request: request.wfile.write(b"HTTP/1.1 200 OK\r\nA:" + b"a" * 70_000)],
        "could not",
    ),
    "a broken chunk": (
        [lambda request: request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")],
        "could not download",
    ),
    **{
        f"a redirect to {where}": ([says(b"", 302, Location=where)], "leads to an address that is none")
        for where in ("http://[::1", "http://[x]/w", "http://a..b/w", f"http://{'a' * 70}.org/w")
    },
    "half a chunk": (
        [lambda request: request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc")],
        "could not download",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_weights_file_is_refused_and_not_kept(kind: str, url: str, tmp_path: Path) -> None:
    Server.answers, message = BAD[kind]
    with pytest.raises(WeightsError, match=message) as error:
        fetch(url, tmp_path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    assert not [name for name in os.listdir(tmp_path) if "part" not in name]
    Server.answers = [says()]  # and the next call asks again
    assert fetch(url, tmp_path).read_bytes() == BODY
    assert sorted(os.listdir(tmp_path)) == ["w.safetensors", "w.safetensors.sha256"]


def test_a_part_is_continued_only_if_it_is_of_the_same_file(url: str, tmp_path: Path) -> None:
    Server.answers = [says(sent=1000), rest_from(1000)]
    assert fetch(url, tmp_path / "same").read_bytes() == BODY
    assert [Server.asked[1][name] for name in ("Range", "If-Range")] == ["bytes=1000-", '"1"']
    other = save({"weight": torch.ones(20_000)})
    Server.answers = [says(sent=1000), says(other, etag='"2"')]  # the file changed, and If-Range asks for all of it
    assert fetch(url, tmp_path / "changed").read_bytes() == other
    for name, etag in (("none", ""), ("weak", 'W/"1"')):  # nothing says that the rest is of the same file
        Server.answers = [says(sent=1000, etag=etag), says()]
        assert fetch(url, tmp_path / name).read_bytes() == BODY
        assert "Range" not in Server.asked[-1]


@pytest.mark.parametrize("etag", ['"2"', 'W/"1"', ""])
def test_the_rest_of_another_file_is_not_appended(etag: str, url: str, tmp_path: Path) -> None:
    """A server that ignores If-Range sends it."""
    other = save({"weight": torch.ones(20_000)})
    Server.answers = [says(sent=1000), says(other[1000:], 206, etag=etag, Content_Range=SPAN), says(other)]
    assert fetch(url, tmp_path).read_bytes() == other
    assert "Range" not in Server.asked[2]


@pytest.mark.parametrize("validator", ["", '"1"\n', '"1"\r\nX: y', "é"])
def test_a_part_with_a_damaged_validator_is_not_continued(validator: str, url: str, tmp_path: Path) -> None:
    (tmp_path / "w.part.safetensors").write_bytes(b"\x00" * 1000)
    (tmp_path / "w.part.safetensors.etag").write_text(validator)  # a full disk leaves an empty one
    assert fetch(url, tmp_path).read_bytes() == BODY
    assert "Range" not in Server.asked[0]


def test_the_part_of_another_file_is_gone_before_the_new_validator_is_there(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / "w.part.safetensors"
    part.write_bytes(b"\x00" * 1000)
    part.with_name(f"{part.name}.etag").write_text('"0"')

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(WeightsError, match="No space left"):
        fetch(url, tmp_path)
    assert not part.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_part_that_is_no_file_is_replaced(url: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    for number, make in enumerate((os.mkfifo, lambda path: path.symlink_to(outside))):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder / "w.part.safetensors")
        path = fetch(url, folder)
        assert path.read_bytes() == BODY
        assert not path.is_symlink()
    assert outside.read_text() == "mine"


@pytest.mark.parametrize(
    "second",
    [
        rest_from(999),
        says(BODY[1000:], 206),
        says(BODY[1000:], 206, Content_Range="bytes 1000-5/7"),
        says(BODY[1000:2000], 206, Content_Range=f"bytes 1000-{len(BODY) - 1}/{len(BODY)}"),
        says(b"", 416, Content_Range=f"bytes */{len(BODY)}"),
    ],
    ids=["another start", "no range", "a wrong end", "a shorter body than its range", "no such range"],
)
def test_after_a_wrong_range_the_file_is_asked_for_anew(second: Answer, url: str, tmp_path: Path) -> None:
    Server.answers = [says(sent=1000), second, says()]
    assert fetch(url, tmp_path).read_bytes() == BODY
    assert "Range" not in Server.asked[2]


def test_a_part_that_was_damaged_on_disk_is_dropped_where_the_digest_is_known(url: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(BODY).hexdigest()
    (tmp_path / "w.part.safetensors").write_bytes(b"\x00" * 1000)
    (tmp_path / "w.part.safetensors.etag").write_text('"1"')
    Server.answers = [rest_from(1000), says()]
    assert fetch(url, tmp_path, digest).read_bytes() == BODY


def test_the_digest_that_hugging_face_states_is_checked(url: str, tmp_path: Path) -> None:
    to: dict[str, Any] = {"Location": "/elsewhere", "X_Linked_ETag": f'"{"0" * 64}"'}
    Server.answers = [says(b"", 302, **to), says()]
    with pytest.raises(WeightsError, match="is not the expected file: .* not 0000000000000000"):
        fetch(url, tmp_path)
    right = {**to, "X_Linked_ETag": f'"{hashlib.sha256(BODY).hexdigest()}"'}
    Server.answers = [says(b"", 302, **right), says()]
    assert fetch(url, tmp_path).read_bytes() == BODY


def test_https_does_not_redirect_to_http() -> None:
    request = urllib.request.Request("https://example.org/w")
    follow = transfers._Redirects().redirect_request
    with pytest.raises(WeightsError, match=r"redirects to http://example.org/w, which is not https"):
        follow(request, io.BytesIO(), 302, "", {}, "http://example.org/w")
    assert (
        follow(request, io.BytesIO(), 302, "", {}, "https://cdn.example.org/w").full_url == "https://cdn.example.org/w"
    )


def test_a_body_that_drips_ends(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "WINDOW", 0.05)

    def drip(request: Any) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(BODY)))
        request.end_headers()
        for byte in BODY[:200]:
            request.wfile.write(bytes([byte]))
            time.sleep(0.01)

    Server.answers = [drip]
    monkeypatch.setattr(download, "TRIES", 1)
    with pytest.raises(WeightsError, match="only [0-9]+ bytes arrived in 0.05 seconds"):
        fetch(url, tmp_path)


def test_headers_that_drip_end(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "HEADERS", 0.1)
    monkeypatch.setattr(download, "TRIES", 1)

    hung_up = threading.Event()

    def drip(request: Any) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        try:
            for _ in range(6000):
                request.wfile.write(b"a")
                time.sleep(0.01)
        except OSError:
            hung_up.set()

    Server.answers = [drip]
    with pytest.raises(WeightsError, match="could not download"):
        fetch(url, tmp_path)
    assert hung_up.wait(30)  # the headers would end after a minute


@pytest.mark.parametrize(
    ("before", "repeated"),
    [
        (b"", b"0"),
        (b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY), b"X: y\r\n"),
    ],
    ids=["the size of a chunk", "trailers"],
)
def test_what_is_beside_the_body_ends_too(
    before: bytes, repeated: bytes, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "WINDOW", 0.05)
    monkeypatch.setattr(download, "TRIES", 1)
    hung_up = threading.Event()

    def endless(request: Any) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + before)
        try:
            for _ in range(6000):
                request.wfile.write(repeated)
                time.sleep(0.01)
        except OSError:
            hung_up.set()

    Server.answers = [endless]
    if before:
        assert fetch(url, tmp_path).read_bytes() == BODY
    else:
        with pytest.raises(WeightsError, match="could not download"):
            fetch(url, tmp_path)
    assert hung_up.wait(30)  # it would end after a minute


def test_every_error_of_the_cache_is_a_line(url: str, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(BODY)
    (tmp_path / "w.safetensors.sha256").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match="is not the published file"):
        fetch(url, tmp_path)
    for folder in (tmp_path / ("a" * 300), tmp_path / "a\0b"):
        with pytest.raises(WeightsError, match="cannot be read|could not download"):
            fetch(url, folder)
        with pytest.raises(WeightsError, match="cannot be read|could not be written"):
            cached_member(url, "w.pth", "0" * 40, folder)


def test_what_a_cache_that_is_read_only_keeps_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    path.with_name(f"{path.name}.sha256").write_text("0" * 64)

    def closed(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", closed)
    error = download.remove_unreadable(path, WeightsError("it is a page"))
    assert str(error) == "it is a page. Delete the file to download it again: Permission denied"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_refused_and_not_kept(method: int, url: str, tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        archive.writestr("w.pth", bytes(range(256)) * 40)
    whole = content.getvalue()
    for at in range(len("w.pth") + 30, len("w.pth") + 50, 6):
        Server.answers = [says(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])]
        with pytest.raises(WeightsError, match=r"cannot be unpacked|is not the published file"):
            cached_member(url, "w.pth", "0" * 40, tmp_path)
        assert os.listdir(tmp_path) == []


def test_an_archive_of_a_huge_file_is_not_unpacked(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archzoo.weights._archives.LARGEST", 1000)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.pth", bytes(1001))
    Server.answers = [says(content.getvalue())]
    with pytest.raises(WeightsError, match="its w.pth would have 1,001 bytes, more than weights have"):
        cached_member(url, "w.pth", "0" * 40, tmp_path)


def test_a_full_disk_is_said_before_the_download(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    with pytest.raises(WeightsError, match=r"needs 80,\d+ bytes in .*, which has 1,000 free"):
        fetch(url, tmp_path)


@pytest.mark.slow
def test_four_that_want_the_same_file_get_it_once(url: str, tmp_path: Path) -> None:
    def slow(request: Any) -> None:
        time.sleep(0.3)
        says()(request)

    Server.answers = [slow]
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(url, tmp_path), range(4)))
    assert [path.read_bytes() == BODY for path in paths] == [True] * 4
    assert len(Server.asked) == 1
    assert sorted(os.listdir(tmp_path)) == ["w.safetensors", "w.safetensors.sha256"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path, (reader, writer) = tmp_path / "lock", os.pipe()
    child = os.fork()
    if child == 0:
        with locks.locked(path):
            os.write(writer, b"1")
            time.sleep(60)
        os._exit(1)
    os.read(reader, 1)
    holders: list[str] = []

    def waiting(holder: str) -> None:
        holders.append(holder)
        os.kill(child, 9)
        os.waitpid(child, 0)

    with locks.locked(path, waiting):
        assert path.exists()
    assert holders == [str(child)]
    assert not path.exists()


def test_a_download_that_stands_still_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PATIENCE", 0)
    monkeypatch.setattr(locks, "PAUSE", 0.01)
    lock = tmp_path / ".w.safetensors.lock"
    with locks.locked(lock), pytest.raises(WeightsError, match=f"process {os.getpid()} downloads .*stands still"):
        fetch("http://127.0.0.1:9/w.safetensors", tmp_path)


@pytest.fixture
def small(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A set without a known digest, whose server sends an untrained network. The folder of the cache."""
    torch.manual_seed(1)
    net = archzoo.build("squeezenet1_1", device="meta").to_empty(device="cpu")
    state = {name: torch.zeros_like(tensor) for name, tensor in net.state_dict().items()}
    Server.answers = [says(save(names_in("torchvision", "squeezenet1_1").to_theirs(net, state)))]
    chosen = PublishedWeights("timm", "squeezenet1_1", "w", url)
    monkeypatch.setitem(published.__dict__, "PUBLISHED", (chosen,))
    monkeypatch.setattr("archzoo.weights._building.names_in", lambda *_: names_in("torchvision", "squeezenet1_1"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def test_a_file_in_the_cache_that_cannot_be_read_is_removed_and_asked_for_again(small: Path) -> None:
    archzoo.build("squeezenet1_1", weights="timm")
    path = small / "w.safetensors"
    path.write_bytes(HTML)  # as an earlier version kept it, with its own digest
    path.with_name("w.safetensors.sha256").write_text(download.sha256(path))
    with pytest.raises(WeightsError, match="removed: the next call downloads it again"):
        archzoo.build("squeezenet1_1", weights="timm")
    archzoo.build("squeezenet1_1", weights="timm")
    assert len(Server.asked) == 2


def test_a_file_that_someone_else_put_there_is_not_removed(small: Path) -> None:
    small.mkdir(parents=True)
    (small / "w.safetensors").write_bytes(HTML)
    with pytest.raises(WeightsError, match="is a page of HTML"):
        archzoo.build("squeezenet1_1", weights="timm")
    assert (small / "w.safetensors").read_bytes() == HTML


def test_digests_are_whole_and_begin_as_the_names_of_the_files_say() -> None:
    for name, digest in _digests.TORCHVISION.items():
        assert digest.startswith(name.rpartition(".")[0].rpartition("-")[2])
    known = [weights.sha256 for weights in PUBLISHED if len(weights.sha256) == 64]
    assert len(known) == len(set(known))
    assert {*_digests.TORCHVISION.values(), *_digests.TIMM.values()} <= set(known)
    assert all(set(digest) <= set("0123456789abcdef") for digest in known)
