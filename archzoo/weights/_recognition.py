"""What kind of file this is, told from its content: its name says little, and ``.pth.tar`` is hardly ever a tar."""

import json
import re
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path

from archzoo.escaping import one_line

HEAD = 4096  # bytes that are read to tell
LARGEST_INDEX = 1 << 26  # bytes
TORCH_MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # in the first pickle of torch.save before torch 1.6


@dataclass(frozen=True)
class FileKind:
    """A kind of file. ``advice`` is what to do with one that holds no state dict, and empty for those that are read."""

    name: str
    advice: str = ""

    @property
    def readable(self) -> bool:
        """Whether archzoo reads the tensors of such files."""
        return not self.advice


SAFETENSORS = FileKind("a safetensors file")
TORCH_ZIP = FileKind("a file of torch.save")
TORCH_LEGACY = FileKind("a file of torch.save, as torch before 1.6 wrote it")
PICKLE = FileKind("a pickle")
ONNX = FileKind("an ONNX model")
INDEX = FileKind("the index of a checkpoint in several files")
FOLDER = FileKind("a folder")

DOWNLOAD = "download the file itself"
UNPACK = "unpack it and give the file in it"
TENSORS = "convert its tensors to a safetensors file"

# What a file begins with.
SIGNATURES: tuple[tuple[bytes, FileKind], ...] = (
    (b"version https://git-lfs", FileKind("a Git LFS pointer, not the file that it points to", "run git lfs pull")),
    (b"\x89HDF\r\n\x1a\n", FileKind("an HDF5 file, as Keras writes it", TENSORS)),
    (b"\x93NUMPY", FileKind("one array of numpy", "a state dict is a table of tensors by name")),
    (b"\x1f\x8b", FileKind("compressed by gzip", UNPACK)),
    (b"BZh", FileKind("compressed by bzip2", UNPACK)),
    (b"\xfd7zXZ\x00", FileKind("compressed by xz", UNPACK)),
    (b"\x28\xb5\x2f\xfd", FileKind("compressed by zstd", UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", UNPACK)),
    (b"Rar!\x1a\x07", FileKind("a RAR archive", UNPACK)),
    (b"GGUF", FileKind("a GGUF file of quantized tensors", TENSORS)),
    (b"\x12\x01\x00\x00\x00\x00\x00\x00", FileKind("a file of MXNet parameters", TENSORS)),
    (b"%PDF", FileKind("a PDF document", DOWNLOAD)),
    (b"\xff\xd8\xff", FileKind("a picture (JPEG)", "a checkpoint holds tensors")),
    (b"\x89PNG", FileKind("a picture (PNG)", "a checkpoint holds tensors")),
)
HTML = FileKind("a page of HTML, not the file that it offers", DOWNLOAD)
TAR = FileKind("a tar archive", UNPACK)
TORCH_TAR = FileKind("a tar of torch 0.1", "load it with torch 0.4 and save its state dict again")
TORCHSCRIPT = FileKind(
    "a TorchScript archive, which is a program", "save its tensors: torch.save(torch.jit.load(file).state_dict(), ...)"
)
EXPORTED = FileKind("a program of torch.export (.pt2)", "save the state dict of the network instead")
NUMPY_ZIP = FileKind("an archive of numpy (.npz)", TENSORS)
KERAS_ZIP = FileKind("a Keras model (.keras)", TENSORS)
TFLITE = FileKind("a TensorFlow Lite model", TENSORS)
ZEROS = FileKind("nothing but zero bytes at its beginning", "an interrupted copy or download leaves such files")
UNKNOWN = FileKind("of no kind that holds a state dict", "safetensors files and those of torch.save are read")


def kind_of(path: Path) -> FileKind:
    """The kind of a file. Raises OSError where it cannot be read."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return FOLDER
    if not stat.S_ISREG(mode):
        return FileKind("a device, a pipe or a socket", "give a file")
    with path.open("rb") as file:
        head = file.read(HEAD)
    size = path.stat().st_size
    if head[4:9] == b"\x00\x00\x00\x00{":  # after the length of its head, whose bytes may be those of any other kind
        return SAFETENSORS
    return _empty(head) or _of_head(head) or _of_structure(path, head, size) or _of_text(head) or UNKNOWN


def _empty(head: bytes) -> FileKind | None:
    if not head:
        return FileKind("empty (0 bytes)", DOWNLOAD)
    return ZEROS if not any(head[:64]) else None


def _of_head(head: bytes) -> FileKind | None:
    for signature, kind in SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[4:8] == b"TFL3":
        return TFLITE
    if TORCH_MAGIC in head[:32]:
        return TORCH_LEGACY
    if head[0] == 0x80 and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return PICKLE
    return None


def _of_structure(path: Path, head: bytes, size: int) -> FileKind | None:
    if head.startswith(b"PK\x03\x04"):
        return _of_zip(path, size)
    if head[257:262] == b"ustar" or _is_old_tar(head):
        return TORCH_TAR if head.startswith((b"sys_info\x00", b"storages\x00", b"pickle\x00", b"tensors\x00")) else TAR
    if head.lstrip().startswith(b"{") and b'"weight_map"' in _beginning(path):
        return INDEX
    # The first fields of the message: the version of the format, 1 to 30, then the producer, or the graph itself.
    if head[:1] == b"\x08" and b"\x01" <= head[1:2] <= b"\x1e" and head[2:3] in (b"\x12", b"\x1a", b"\x3a", b"\x42"):
        return ONNX
    return None


def _beginning(path: Path) -> bytes:
    """As much of a file as an index may have: a file of any length may begin as one."""
    with path.open("rb") as file:
        return file.read(LARGEST_INDEX)


def _is_old_tar(head: bytes) -> bool:
    """Whether the sum of the first block is the one in it, as every tar has it since 1979."""
    field = head[148:156].strip(b" \x00")
    if len(head) < 512 or not re.fullmatch(rb"[0-7]{1,7}", field):
        return False
    return sum(head[:148]) + 8 * ord(" ") + sum(head[156:512]) == int(field, 8)


def _of_zip(path: Path, size: int) -> FileKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return FileKind(f"cut off or damaged: its list of contents is missing at the end ({size:,} bytes)", DOWNLOAD)
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return TORCHSCRIPT
    if "data.pkl" in inner:
        return TORCH_ZIP
    if any("archive_format" in name or name.endswith("serialized_exported_program.json") for name in names):
        return EXPORTED
    if names and all(name.endswith(".npy") for name in names):
        return NUMPY_ZIP
    if "model.weights.h5" in names:
        return KERAS_ZIP
    return FileKind(f"a zip archive of {_some(names)}", UNPACK)


def _of_text(head: bytes) -> FileKind | None:
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if re.match(r"<(!doctype html|html|head|body)", text, re.IGNORECASE):
        return HTML
    if text.startswith(("<?xml", "<Error")):
        return FileKind("an XML answer of a server, not a file of weights", DOWNLOAD)
    if "\x00" in text or text.count("\ufffd") > 2:
        return None
    try:
        json.loads(text)
    except ValueError:
        return FileKind(f"text ({first_line(text, 40)!r})", DOWNLOAD)
    return FileKind(f"JSON ({first_line(text, 40)!r})", DOWNLOAD)


def _some(names: list[str]) -> str:
    shown = ", ".join(first_line(name, 40) for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def first_line(text: object, length: int = 200) -> str:
    """A text from a file for a message: its first line that says something, without control characters, cut off."""
    lines = [line for line in str(text).splitlines() if line.strip()] or [""]
    return one_line(lines[0].strip(), length)
