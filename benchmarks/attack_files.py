"""Attack the reading of files, downloads, and what is shown: how often each attack was tried, and how often it won.

    python benchmarks/attack_files.py [--tries N] [--seed S] [ATTACK ...]

Each batch of tries runs in a process of its own, with a bound on memory and on time. A try wins if the process dies, an
error is not the project's own, a message is long or has control characters, a wrong file is kept, or the time is over.
The same seed gives the same tries. Exits with 1 if one of them won.
"""

import argparse
import hashlib
import http.server
import json
import os
import pickle
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch

import archzoo
from archzoo import escaping
from archzoo.errors import ArchzooError
from archzoo.layers import Net
from archzoo.weights import _download as download
from archzoo.weights import _transfers as transfers
from archzoo.weights import identify, rebuild, save
from archzoo.weights._libraries import SOURCES
from archzoo.weights._reading import read_state

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.networks import fewer_units

BATCH, SECONDS, MEMORY = 50, 90, 8 << 30  # tries in a process; for one of them; bytes
Attack = Callable[[random.Random, Path], None]


class Won(Exception):
    """What an attack achieved."""


def refuse_in_a_line(action: Callable[[], object]) -> None:
    """Do something that may be refused, in one short line and by the project's own error only."""
    try:
        action()
    except ArchzooError as error:
        if not str(error).isprintable() or len(str(error)) > 2500:
            raise Won(f"a message of {len(str(error))} characters: {str(error)[:60]!r}") from error


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Some bytes after a few flips of bits, cuts, splices, insertions and repetitions."""
    body = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(max(len(body), 1)) if draw.random() < 0.5 else draw.randrange(min(len(body), 2000) or 1)
        match draw.randrange(6):
            case 0 if body:
                body[at] ^= 1 << draw.randrange(8)
            case 1:
                del body[at:]
            case 2:
                del body[at : at + draw.randrange(64)]
            case 3:
                body[at:at] = draw.randbytes(draw.randrange(16))
            case 4:
                body[at : at + 8] = draw.choice((b"\xff" * 8, b"\x00" * 8, struct.pack("<Q", 1 << 62)))
            case _:
                start = draw.randrange(max(len(body), 1))
                body[at:at] = body[start : start + draw.randrange(256)]
    return bytes(body)


def originals(folder: Path) -> dict[str, bytes]:
    """A described network in each of the formats that are read."""
    net = archzoo.build("lenet5")
    save(net, folder / "net.safetensors", "lenet5")
    torch.save(net.state_dict(), folder / "zip.pth")
    torch.save({"state_dict": net.state_dict(), "epoch": 3}, folder / "old.pth", _use_new_zipfile_serialization=False)
    (folder / "net.onnx").write_bytes(onnx_of_lenet())
    for form in ("test", "training"):  # with the places of index layers, and with masks
        options: dict[str, Any] = {"depth": 8, "k0": 4, "form": form}
        condensenet = archzoo.build("condensenet_cifar", **options)
        save(condensenet, folder / f"{form}.safetensors", "condensenet_cifar", **options)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def onnx_of_lenet() -> bytes:
    """An ONNX model of lenet5_textbook, with our names."""
    import onnx
    from onnx import TensorProto, numpy_helper

    helper: Any = onnx.helper
    net = archzoo.build("lenet5_textbook")
    tensors = [numpy_helper.from_array(tensor.numpy(), name) for name, tensor in net.state_dict().items()]
    layers = [(tensor.name.removesuffix(".weight"), tensor) for tensor in tensors if tensor.name.endswith("weight")]
    nodes, value = [], "images"
    for layer, weight in layers:
        if len(weight.dims) == 2 and layer == "classifier.C5":
            nodes.append(helper.make_node("Flatten", [value], ["flat"]))
            value = "flat"
        reads, options = [value, f"{layer}.weight", f"{layer}.bias"], {"transB": 1} if len(weight.dims) == 2 else {}
        nodes.append(helper.make_node("Gemm" if options else "Conv", reads, [layer], **options))
        value = layer
        if layer != "classifier.output":
            nodes.append(helper.make_node("Tanh", [value], [f"{layer}.tanh"]))
            value = f"{layer}.tanh"
        if not options:
            window = {"kernel_shape": [2, 2], "strides": [2, 2]}
            nodes.append(helper.make_node("AveragePool", [value], [f"{layer}.pool"], **window))
            value = f"{layer}.pool"
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name, shape in (("images", [1, 1, 32, 32]), (value, [1, 10]))
    ]
    model: bytes = helper.make_model(helper.make_graph(nodes, "lenet", *ends, tensors)).SerializeToString()
    return model


def graphs(draw: random.Random, folder: Path) -> None:
    """Mutations of an ONNX model, read and built, told what it is, and run as a module."""
    path = folder / "net.onnx"
    path.write_bytes(mutated(ORIGINALS["net.onnx"], draw))
    refuse_in_a_line(lambda: archzoo.build("lenet5_textbook", weights=path))
    refuse_in_a_line(lambda: identify(path))
    refuse_in_a_line(lambda: rebuild(path))


def run(net: Net) -> None:
    """Run a network that was loaded. A wrong weight gives a wrong number, and no error."""
    with torch.no_grad():
        net.eval()(torch.zeros(1, *(net.input_size or (1, 32, 32))))


def mutants(*names: str) -> Attack:
    """Mutations of a file, read, built and run."""

    def attack(draw: random.Random, folder: Path) -> None:
        name = draw.choice(names)
        path = folder / name
        path.write_bytes(mutated(ORIGINALS[name], draw))
        load = archzoo.load if name.endswith("safetensors") else lambda file: archzoo.build("lenet5", weights=file)
        refuse_in_a_line(lambda: run(load(path)))

    return attack


# Sources of checkpoints of the networks with the longest lists of tensors, and what they call them.
RENAMED = [
    network
    for source in SOURCES.values()
    for network in source.networks
    if network.constructor.startswith(("bn_inception", "condensenet", "inception", "xception")) and not network.differs
]


def damaged(state: dict[str, torch.Tensor], draw: random.Random) -> Any:
    """Tensors of which some are lost, of another shape or kind, or called as others are."""
    for name in draw.sample(sorted(state), min(draw.randrange(4), len(state))):
        match draw.randrange(6):
            case 0:
                del state[name]
            case 1:
                state[draw.choice((*state, "module." + name, name + "\x1b[2J", "x" * 10_000))] = state[name]
            case 2:
                state[name] = state[name][None]
            case 3:
                state[name] = state[name].flatten()[:1]
            case 4:
                state[name] = torch.full_like(state[name], draw.choice((-1, 2**31)), dtype=torch.float64)
            case _:
                state[name] = state[name] * float("nan")
    return draw.choice((state, {"state_dict": state}, {"model": {"module." + name: state[name] for name in state}}))


def renamed(draw: random.Random, folder: Path) -> None:
    """A damaged checkpoint of another library's Inception, Xception or CondenseNet, built, run and told what it is."""
    network, path = draw.choice(RENAMED), folder / "theirs.pth"
    with fewer_units():
        net = archzoo.build(network.constructor, **network.options)
        tensors = net.state_dict()
        torch.save(damaged({name: tensors[own] for own, name in network.names.of(net).items()}, draw), path)
        refuse_in_a_line(lambda: run(archzoo.build(network.constructor, weights=path, **network.options)))
        refuse_in_a_line(lambda: identify(path))


NAMES: tuple[str, ...] = (
    *("resnet_cifar", "densenet_bc", "fractalnet", "wide_resnet", "vgg", "resnet20", "lenet5", "no\x1b[2Jname", ""),
    *("condensenet", "condensenet_cifar", "condensenet_light", "bn_inception", "inception_v3", "inception_v4"),
    *("inception_resnet_v2", "inception_resnet_v2_released", "xception", "pyramidnet_cifar", "se_resnet"),
)
NUMBERS: tuple[Any, ...] = (-1, 0, 1, 2, 20, 1000, 50_000, 10**9, 600_000_002, 2**31, 2**63, 10**40)
NUMBERS += (1e308, None, True, "1", "\x1b[2J", [], {})
KEYS: tuple[str, ...] = (
    *("num_classes", "in_channels", "depth", "k", "columns", "widths", "blocks", "drop", "theta", "option", "\x1b]0;"),
    *("k0", "g", "c", "form", "classifier_share", "residual_scales", "bn_eps", "resolution", "widening", "se_stages"),
)


def heads(draw: random.Random, folder: Path) -> None:
    """A head with a random claim above the tensors of a small network."""
    from safetensors.torch import save_file

    values = (*NUMBERS, [draw.choice(NUMBERS) for _ in range(draw.randrange(6))])
    options = {draw.choice(KEYS): draw.choice(values) for _ in range(draw.randrange(4))}
    text = json.dumps(options)
    if draw.random() < 0.3:
        text = mutated(text.encode(), draw).decode(errors="replace")
    path = folder / "head.safetensors"
    save_file({"features.C1.weight": torch.zeros(6, 1, 5, 5)}, path, {"archzoo": draw.choice(NAMES), "options": text})
    refuse_in_a_line(lambda: archzoo.load(path))


CALLS: tuple[bytes, ...] = (b"cos\nsystem\n", b"cbuiltins\neval\n", b"cbuiltins\nbytearray\n", b"c_codecs\nencode\n")
CALLS += (
    b"ccollections\nOrderedDict\n",
    b"ctorch\nSize\n",
    b"cbuiltins\nset\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
)
CALLS += (b"ctorch._utils\n_rebuild_sparse_tensor\n", b"ctorch._utils\n_rebuild_qtensor\n", b"c\x1b[2J\n\x07\n")
PIECES = tuple(bytes([code]) for code in b"}])(N\x88012tsuaeRbQ\x85\x86")
PIECES += (b"K\x07", b"M\xff\xff", b"J\xff\xff\xff\x7f", b"\x8a\x08" + b"\x7f" * 8, b"X\x04\x00\x00\x00name")
PIECES += (b"q\x01", b"h\x01", b"X\xff\xff\xff\x7f", b"G\x7f\xf0\x00\x00\x00\x00\x00\x00")
PIECES += (b"\x85" * 2000, b"]" * 500, b"c" + b"m" * 5000 + b"\nf\n")


class RunsCode:
    """A pickle of this would create a file."""

    def __reduce__(self) -> Any:
        return os.mkdir, (str(MARK),)


MARK = Path(tempfile.gettempdir()) / f"attack-files-{os.getpid()}"


def pickles(draw: random.Random, folder: Path) -> None:
    """Random instructions, calls of what no checkpoint needs, and mutations of a pickle that runs code."""
    if draw.random() < 0.2:
        body = pickle.dumps({"a": RunsCode()}, protocol=2)
        body = mutated(body, draw) if draw.random() < 0.5 else body
    else:
        pieces = CALLS if draw.random() < 0.3 else PIECES
        body = b"\x80\x02" + b"".join(draw.choice((*PIECES, *pieces)) for _ in range(draw.randrange(40))) + b"."
    path = folder / "hostile.pth"
    if draw.random() < 0.7:
        with zipfile.ZipFile(path, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            archive.writestr("a/data.pkl", body)
            archive.writestr("a/version", "3\n")
    else:
        path.write_bytes(body)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refuse_in_a_line(lambda: read_state(path))
    if MARK.exists():
        MARK.rmdir()
        raise Won("code of the file ran")


def kinds(draw: random.Random, folder: Path) -> None:
    """A tensor of any dtype and layout in the place of a weight: its values are loaded, or it is refused."""
    dtypes = [dtype for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)]
    w = torch.randn(6, 1, 5, 5).mul(4).round() if draw.random() < 0.5 else torch.randn(6, 1, 5, 5)
    try:
        tensor = w.to(draw.choice(dtypes))
        expanded = tensor[:1].expand(6, 1, 5, 5)
        tensor = draw.choice((tensor, tensor.to_sparse(), tensor.to("meta"), expanded, tensor.flatten()))
        torch.save({**archzoo.build("lenet5").state_dict(), "features.C1.weight": tensor}, folder / "kind.pth")
    except (RuntimeError, NotImplementedError, TypeError):  # torch has no such tensor
        return

    def load() -> None:
        loaded = archzoo.build("lenet5", weights=folder / "kind.pth").state_dict()["features.C1.weight"]
        plain = tensor.to_dense() if tensor.is_sparse else tensor
        if not torch.equal(loaded.to(torch.complex128), plain.to(torch.complex128)):
            raise Won(f"values of {tensor.dtype} changed")

    refuse_in_a_line(load)


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as ``answer`` says."""

    answer: Callable[[Any], None]
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        try:
            type(self).answer(self)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


def serving() -> Iterator[str]:
    """The address of a server of this process, and nothing after it."""
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}/w"
    running.shutdown()
    running.server_close()


def random_answer(draw: random.Random, body: bytes) -> Callable[[Any], None]:
    """An answer that is right in some of its parts."""
    honest = draw.random() < 0.35
    status = 200 if honest else draw.choice((200, 200, 206, 206, 204, 302, 404, 416, 500, 503))
    page = draw.random() < 0.2 and not honest
    content = b"<html>log in</html>" if page else body if honest or draw.random() < 0.5 else mutated(body, draw)
    start = 0 if honest else draw.choice((0, 0, 1, 100, len(body) - 1))
    sent = len(content) if draw.random() < 0.6 else draw.randrange(len(content) + 1)
    length = str(len(content))
    if not honest and draw.random() < 0.4:
        length = draw.choice(("", "x", "-1", "9" * 17, str(len(body))))
    where = draw.choice(("", "/w", "file:///etc/passwd", "ftp://x/", "//x", "javascript:1", "http://127.0.0.1:1/"))
    spans = ("", f"bytes {start}-{len(body) - 1}/{len(body)}", "bytes 0-0/1", "bytes x", "\x1b[2J")
    span = "" if honest else draw.choice(spans)
    etag = draw.choice(('"1"', '"1"', "", 'W/"1"', '"2"', "x" * 3000))
    kind = draw.choice(("text/html" if page else "binary/octet-stream", "", "application/octet-stream"))

    def answer(request: Any) -> None:
        request.send_response(status)
        named = {"Content-Length": length, "Location": where if status == 302 else "", "Content-Range": span}
        for name, value in {**named, "ETag": etag, "Content-Type": kind}.items():
            if value:
                request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content[start : start + sent])

    return answer


def downloads(draw: random.Random, folder: Path) -> None:
    """A server that is wrong at random: the right file arrives, or the project's error, and nothing else is kept."""
    body = ORIGINALS["net.safetensors"]
    answers = [random_answer(draw, body) for _ in range(6)]
    digest = hashlib.sha256(body).hexdigest() if draw.random() < 0.5 else ""
    Server.answer = lambda request: answers[Server.asked % len(answers)](request)
    Server.asked, download.PAUSE, transfers.WINDOW = 0, 0, 5
    path = folder / "w.safetensors"
    for url in serving():
        for _ in range(2):
            refuse_in_a_line(partial(download.cached_file, url, path.name, digest, folder, check=read_state))
            if path.exists() and digest and path.read_bytes() != body:
                raise Won("another file than the published one was kept")
            if path.exists():
                read_state(path)


def together(draw: random.Random, folder: Path) -> None:
    """Two to four processes want the same file, and some of them are killed: the others have it, asked for once."""
    body = ORIGINALS["net.safetensors"]

    def slow(request: Any) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("ETag", '"1"')
        request.end_headers()
        for start in range(0, len(body), 60_000):
            request.wfile.write(body[start : start + 60_000])
            time.sleep(0.02)

    Server.answer, Server.asked = slow, 0
    killed = draw.random() < 0.4
    for url in serving():
        children = []
        for _ in range(draw.randrange(2, 5)):
            if not (child := os.fork()):
                done = download.cached_file(url, "w.safetensors", "", folder, check=read_state).read_bytes() == body
                os._exit(0 if done else 1)
            children.append(child)
        if killed:
            time.sleep(draw.random() * 0.1)
            os.kill(children[0], signal.SIGKILL)
        codes = [os.waitpid(child, 0)[1] for child in children]
        if any(codes[1 if killed else 0 :]):
            raise Won(f"processes ended with {codes}")
        if Server.asked > 1 + killed:
            raise Won(f"asked {Server.asked} times")
    if sorted(os.listdir(folder)) != ["w.safetensors", "w.safetensors.sha256"]:
        raise Won(f"left {os.listdir(folder)}")


MARKS: tuple[str, ...] = (
    "<script>",
    "]]>",
    '" onload=',
    "'",
    "&amp;",
    "`",
    "``",
    "|",
    "\\|",
    "\\",
    "*b*",
    "_i_",
    "$x$",
)
MARKS += (
    "[x](javascript:1)",
    "![i](http://t)",
    "~~s~~",
    "=1+1",
    "@a",
    "+1",
    "-1",
    "\t",
    "\n",
    "\r\n",
    "\x1b[2J",
    "\x9b",
)
MARKS += ("\x00", "\u202e", "\ufeff", "\\input", "é", "中")
ACTING = {"html_inline", "html_block", "link_open", "image", "em_open", "strong_open", "s_open"}


class Tags(HTMLParser):
    """The tags that a reader of HTML finds, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(draw: random.Random, folder: Path) -> None:
    """A random text in HTML, XML, Markdown and CSV, as the readers of these formats see it."""
    text = "".join(draw.choice((*MARKS, chr(draw.randrange(0x3000)))) for _ in range(draw.randrange(30)))
    line = escaping.one_line(text)
    tags = Tags()
    tags.feed(f"<p>{escaping.markup(text)}</p>")
    tags.close()
    if (tags.tags, tags.text) != (["p"], line):
        raise Won(f"HTML: {text!r}")
    if (ElementTree.fromstring(f"<p>{escaping.markup(text)}</p>").text or "") != line:
        raise Won(f"XML: {text!r}")
    if json.loads(escaping.json_text(text)) != text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass"):
        raise Won(f"JSON: {text!r}")
    from markdown_it import MarkdownIt

    row = f"| a | b |\n| - | - |\n| {escaping.markdown(text).replace('|', chr(92) + '|')} | second |"
    blocks = MarkdownIt("gfm-like", {"linkify": False}).parse(row)
    found = [token for block in blocks for token in (block, *(block.children or []))]
    if {token.type for token in found} & ACTING or [token.content for token in found if token.type == "inline"][3:] != [
        "second"
    ]:
        raise Won(f"Markdown: {text!r}")


def same_bytes(draw: random.Random, folder: Path) -> None:
    """The same network saved by another interpreter, with another seed of its hashes."""
    code = "import sys, torch, archzoo; from archzoo.weights import save; torch.manual_seed(3);"
    code += "save(archzoo.build('resnet20', num_classes=4), sys.argv[1], 'resnet20', num_classes=4)"
    contents = set()
    for number in range(2):
        target = folder / f"net{number}.safetensors"
        environment = {**os.environ, "PYTHONHASHSEED": str(draw.randrange(2**32))}
        subprocess.run([sys.executable, "-c", code, str(target)], check=True, env=environment)
        contents.add(target.read_bytes())
    if len(contents) != 1:
        raise Won("other bytes")


ATTACKS: dict[str, tuple[Attack, float]] = {  # with their share of the tries
    "mutated safetensors": (mutants("net.safetensors"), 1),
    "mutated .pth": (mutants("zip.pth"), 1),
    "mutated .pth of torch 1.5": (mutants("old.pth"), 1),
    "mutated ONNX models": (graphs, 0.2),
    "mutated index layers and masks": (mutants("test.safetensors", "training.safetensors"), 0.3),
    "damaged files of other libraries": (renamed, 0.1),
    "claims of heads": (heads, 1),
    "hostile pickles": (pickles, 1),
    "kinds of tensors": (kinds, 0.2),
    "download tricks": (downloads, 0.3),
    "processes that want one file": (together, 0.02),
    "texts in five formats": (shown, 2),
    "saved in two processes": (same_bytes, 0.002),
}
ORIGINALS: dict[str, bytes] = {}


def _late(*_: Any) -> None:
    raise Won(f"no end within {SECONDS} seconds")


def batch(name: str, numbers: range, seed: int) -> list[str]:
    """Run some tries in a process of their own: what those that won achieved."""
    reader, writer = os.pipe()
    if child := os.fork():
        os.close(writer)
        with os.fdopen(reader) as lines:
            failures = lines.read().splitlines()
        _, status = os.waitpid(child, 0)
        return failures if not status else [*failures, f"the process died ({status})"]
    os.close(reader)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _late)
    with os.fdopen(writer, "w") as lines:
        for number in numbers:
            signal.alarm(SECONDS)
            try:
                with tempfile.TemporaryDirectory() as folder:
                    ATTACKS[name][0](random.Random(f"{seed} {name} {number}"), Path(folder))
            except Exception as error:
                lines.write(f"try {number}: {type(error).__name__}: {escaping.one_line(str(error), 200)}\n")
            signal.alarm(0)
    os._exit(0)


def main() -> int:
    """Print a row for each attack; 1 if a try won."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=1000, help="of the usual attack")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("attacks", nargs="*", default=list(ATTACKS), metavar="ATTACK")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        ORIGINALS.update(originals(Path(folder)))
    print("| attack | tries | failures | seconds |\n| --- | ---: | ---: | ---: |")
    failures = []
    for name in given.attacks:
        tries, start = max(round(given.tries * ATTACKS[name][1]), 1), time.perf_counter()
        batches = [range(first, min(first + BATCH, tries)) for first in range(0, tries, BATCH)]
        won = [line for numbers in batches for line in batch(name, numbers, given.seed)]
        failures += [f"{name}, {line}" for line in won]
        print(f"| {name} | {tries:,} | {len(won)} | {time.perf_counter() - start:.0f} |", flush=True)
    print("\n".join(["", *failures]) if failures else "")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
