"""Named data sets from files as people have them: the same images whatever the form, or an error that says why not."""

import gzip
import hashlib
import io
import pickle
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from archzoo.data import NORMALIZATION, Splits, describe, load
from archzoo.data import _local as local
from archzoo.data import _sources as sources
from archzoo.data._array_pickle import read_arrays
from archzoo.data._local import LAYOUTS, load_local
from archzoo.data._origins import with_origin
from archzoo.data._released import RELEASED
from archzoo.errors import DataError, MissingDependency
from tests.shell import Shell

pytestmark = pytest.mark.filterwarnings("ignore:archzoo. the .* images have none of")  # of few images
FASHION = Path("/usr/share/datasets/fashion-mnist")  # Debian's dataset-fashion-mnist


@pytest.fixture(autouse=True)
def _without_debian(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local, "DEBIAN", tmp_path / "nothing")


def draw(count: int, *shape: int) -> Any:
    return numpy.random.default_rng(count).integers(0, 256, (count, *shape), dtype=numpy.uint8)


def idx(values: Any) -> bytes:
    """The format as its page states it."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_idx(folder: Path, train: str = "train", test: str = "t10k", suffix: str = "", classes: int = 10) -> Any:
    """Twenty training and ten test images with labels; returns the training images."""
    images = draw(20, 28, 28)
    labels = numpy.arange(20, dtype=numpy.uint8) % classes
    for name, count in ((train, 20), (test, 10)):
        write(folder / f"{name}-images-idx3-ubyte{suffix}", idx(images[:count]))
        write(folder / f"{name}-labels-idx1-ubyte{suffix}", idx(labels[:count]))
    return images


def training_images(splits: Splits) -> torch.Tensor:
    """All of them in their order, in either part."""
    train, validation = splits.train, splits.validation
    offsets = torch.cat([train.offsets, validation.offsets]).sort().values
    height, width = train.sizes[0].tolist()
    size = height * width * train.channels
    return torch.stack([train.pixels[at : at + size] for at in offsets.tolist()]).view(
        -1, height, width, train.channels
    )


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", "MNIST/raw"),
        ("mnist", "."),
        ("fashion_mnist", "FashionMNIST/raw"),
        ("fashion_mnist", "fashion-mnist"),
        ("fashion_mnist", "raw"),
    ],
)
def test_idx_files_are_found_where_people_have_them(name: str, folder: str, suffix: str, tmp_path: Path) -> None:
    images = write_idx(tmp_path / folder, suffix=suffix)
    splits = load(name, data_dir=tmp_path, validation=0.2)
    assert [len(part) for part in vars(splits).values()] == [16, 4, 10]
    assert numpy.array_equal(training_images(splits)[..., 0].numpy(), images)
    assert splits.test.labels.tolist() == list(range(10))
    assert splits.train.classes[8] == {"mnist": "8", "fashion_mnist": "Bag"}[name]
    assert f"data: {name} from {tmp_path / folder} (IDX files), sha256 " in "\n".join(describe(splits))


def test_the_hash_is_that_of_pixels_and_labels_whatever_the_form(tmp_path: Path) -> None:
    images = write_idx(tmp_path / "plain")
    write_idx(tmp_path / "packed", suffix=".gz")
    labels = numpy.arange(20) % 10
    expected = hashlib.sha256()
    for count in (20, 10):
        expected.update(images[:count].tobytes() + labels[:count].astype("<i8").tobytes())
    for folder in ("plain", "packed"):
        origin = load("mnist", data_dir=tmp_path / folder).train.origin
        assert origin == f"mnist from {tmp_path / folder} (IDX files), sha256 {expected.hexdigest()}"


def test_emnist_is_upright_and_its_letters_begin_with_a(tmp_path: Path) -> None:
    """Its files have images by columns, and the labels of letters from 1 to 26."""
    folder = tmp_path / "gzip"
    images = draw(26, 28, 28)
    for part in ("train", "test"):
        write(folder / f"emnist-letters-{part}-images-idx3-ubyte.gz", idx(images))
        write(folder / f"emnist-letters-{part}-labels-idx1-ubyte.gz", idx(numpy.arange(1, 27, dtype=numpy.uint8)))
    splits = load("emnist_letters", data_dir=tmp_path)
    assert numpy.array_equal(training_images(splits)[..., 0].numpy(), images.transpose(0, 2, 1))
    assert splits.test.labels.tolist() == list(range(26))
    assert "".join(splits.test.classes) == "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("name", "count", "last"),
    [("emnist", 47, "t"), ("emnist_byclass", 62, "z"), ("emnist_bymerge", 47, "t"), ("emnist_digits", 10, "9")],
)
def test_emnist_has_as_many_classes_as_its_paper_says(name: str, count: int, last: str, tmp_path: Path) -> None:
    """Cohen et al. 2017, Table 2."""
    split = name.removeprefix("emnist").removeprefix("_") or "balanced"
    write_idx(tmp_path / "EMNIST" / "raw", f"emnist-{split}-train", f"emnist-{split}-test")
    classes = load(name, data_dir=tmp_path).train.classes
    assert (len(classes), len(set(classes)), classes[-1]) == (count, count, last)


def python2(data: bytes, rows: int, label: bytes) -> bytes:
    """A batch as Python 2 pickled it: protocol 2, text as bytes."""
    short = lambda text: b"U" + bytes([len(text)]) + text  # noqa: E731
    columns = len(data) // rows
    return b"".join(
        (
            *(b"\x80\x02}q\x01(", short(b"data"), b"q\x02cnumpy.core.multiarray\n_reconstruct\nq\x03"),
            *(b"cnumpy\nndarray\nq\x04K\x00\x85q\x05", short(b"b"), b"\x87q\x06Rq\x07(K\x01"),
            *(
                b"K",
                bytes([rows]),
                b"M",
                struct.pack("<H", columns),
                b"\x86cnumpy\ndtype\n",
                short(b"u1"),
                b"K\x00K\x01",
            ),
            *(b"\x87R(K\x03", short(b"|"), b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"),
            *(struct.pack("<i", len(data)), data, b"tb", short(label), b"]q\x08(", b"K\x03" * rows, b"eu."),
        )
    )


def write_cifar10(root: Path, form: str, pixels: Any) -> None:
    """Two images a file, with the labels 3."""
    for number, name in enumerate((*(f"data_batch_{n}" for n in range(1, 6)), "test_batch")):
        batch = pixels[2 * number : 2 * number + 2].reshape(2, -1)
        content: dict[str, bytes] = {
            "bin": b"".join(b"\x03" + row.tobytes() for row in batch),
            "python2": python2(batch.tobytes(), 2, b"labels"),
            **{str(at): pickle.dumps({"labels": [3, 3], "data": batch}, protocol=at) for at in (2, 3, 4, 5)},
        }
        folder = "cifar-10-batches-bin" if form == "bin" else "cifar-10-batches-py"
        write(root / folder / (f"{name}.bin" if form == "bin" else name), content[form])
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    if form == "bin":
        write(root / "cifar-10-batches-bin" / "batches.meta.txt", ("\n".join(names) + "\n\n").encode())
    else:
        write(root / "cifar-10-batches-py" / "batches.meta", pickle.dumps({"label_names": names}, protocol=2))


def test_cifar10_is_the_same_in_every_version(tmp_path: Path) -> None:
    pixels = draw(12, 3, 32, 32)
    hashes = set()
    for form in ("bin", "python2", "2", "3", "4", "5"):
        write_cifar10(tmp_path / form, form, pixels)
        splits = load("cifar10", data_dir=tmp_path / form)
        assert numpy.array_equal(training_images(splits).numpy(), pixels[:10].transpose(0, 2, 3, 1))
        assert splits.test.labels.tolist() == [3, 3]
        assert splits.train.classes[3] == "cat"
        hashes.add(splits.train.origin.rpartition(" ")[2])
    assert len(hashes) == 1


def test_cifar100_has_its_fine_labels(tmp_path: Path) -> None:
    """A row of the binary version: the coarse label, the fine label, the pixels."""
    pixels, names = draw(4, 3, 32, 32), [f"class {n}" for n in range(100)]
    for form in ("binary", "python"):
        folder = tmp_path / form / f"cifar-100-{form}"
        for part, rows in (("train", pixels), ("test", pixels[:2])):
            flat, fine = rows.reshape(len(rows), -1), list(range(90, 90 + len(rows)))
            content = {"data": flat, b"fine_labels": fine, "coarse_labels": [0] * len(rows)}
            row = [bytes([7, label]) + image.tobytes() for label, image in zip(fine, flat, strict=True)]
            is_binary = form == "binary"
            write(
                folder / (f"{part}.bin" if is_binary else part), b"".join(row) if is_binary else pickle.dumps(content)
            )
        write(folder / "fine_label_names.txt", "\n".join(names).encode())
        write(folder / "meta", pickle.dumps({"fine_label_names": names}))
        splits = load("cifar100", data_dir=tmp_path / form, validation=0.5)
        assert splits.test.labels.tolist() == [90, 91]
        assert splits.test.classes[90] == "class 90"
        assert numpy.array_equal(training_images(splits).numpy(), pixels.transpose(0, 2, 3, 1))


def write_svhn(folder: Path, pixels: Any, names: tuple[str, ...] = ("train", "extra", "test")) -> None:
    """MATLAB's order: height, width, channels, images; the digit 0 is labeled 10."""
    from scipy.io import savemat

    folder.mkdir(parents=True, exist_ok=True)
    labels = numpy.array([[10], [1], [2], [9]], dtype=numpy.uint8)
    for name in names:
        content = {"X": pixels.transpose(1, 2, 3, 0), "y": labels}
        savemat(folder / f"{name}_32x32.mat", content, do_compression=name != "test")


def test_svhn_is_read_from_its_matlab_files(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    pixels = draw(4, 32, 32, 3)
    write_svhn(tmp_path, pixels)
    splits = load("svhn", data_dir=tmp_path, validation=0.25)
    assert numpy.array_equal(training_images(splits).numpy(), numpy.concatenate([pixels, pixels]))
    assert splits.test.labels.tolist() == [0, 1, 2, 9]
    (tmp_path / "extra_32x32.mat").unlink()
    with pytest.warns(UserWarning, match=r"has no extra_32x32.mat: svhn is trained on the images of train_32x32.mat"):
        assert len(load("svhn", data_dir=tmp_path, validation=0.25).train) == 3


def test_svhn_is_read_from_matlab_7_3_by_h5py(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    pixels = draw(4, 32, 32, 3)
    for name in ("train", "extra", "test"):
        with h5py.File(tmp_path / f"{name}_32x32.mat", "w", userblock_size=512) as file:
            file["X"] = pixels.transpose(0, 3, 2, 1)  # its first dimension is MATLAB's last
            file["y"] = numpy.array([[10, 1, 2, 9]], dtype=numpy.float64)
    splits = load("svhn", data_dir=tmp_path, validation=0.25)
    assert numpy.array_equal(training_images(splits).numpy()[:4], pixels)
    assert splits.test.labels.tolist() == [0, 1, 2, 9]


def test_without_the_package_a_matlab_file_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    write_svhn(tmp_path, draw(4, 32, 32, 3))
    monkeypatch.setattr("archzoo.data._mat.import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(MissingDependency, match=r"scipy, which is not installed: pip install 'archzoo\[svhn\]'"):
        load("svhn", data_dir=tmp_path)


def header(*sides: int, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{len(sides)}I", 0, 0, kind, len(sides), *sides)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"its header says 4 bytes of magic number, and the file has at most 0"),
    "text": (b"<html>404 Not Found</html>", r"is no IDX file: it begins with 3c 68 74 6d, not with 00 00 08 03"),
    "cut in the header": (header(20, 28, 28)[:10], r"says 12 bytes of dimensions, and the file has at most 6"),
    "cut in the values": (
        header(20, 28, 28) + bytes(100),
        r"20 x 28 x 28 values, and the file has at most 100: it is trunc",
    ),
    "more than memory": (header(2**32 - 1, 2**32 - 1, 2**32 - 1), r"and at most 2,147,483,648 are read"),
    "more than the file": (header(20, 4096, 4096), r"has at most 0: it is truncated"),
    "labels for images": (header(20) + bytes(20), r"begins with 00 00 08 01, not with .*: are images and labels exch"),
    "floats": (header(20, 28, 28, kind=13) + bytes(4), r"holds floats, and images and labels are unsigned bytes"),
    "no images": (header(0, 28, 28), r"has 0 images, and its labels are 20|is empty: its dimensions are 0 x 28 x 28"),
    "other images": (header(19, 28, 28) + bytes(19 * 784), r"has 19 images, and its labels are 20"),
    "going on": (header(20, 28, 28) + bytes(20 * 784 + 1), r"goes on after what its header says"),
}


@pytest.mark.parametrize("is_gzipped", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_idx_file_is_refused_before_memory_is_taken(what: str, is_gzipped: bool, tmp_path: Path) -> None:
    write_idx(tmp_path / "raw")
    content, message = HOSTILE[what]
    file = tmp_path / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(gzip.compress(content) if is_gzipped else content)
    if is_gzipped:  # how much it holds is not known before it is read
        message = r"train-images-idx3-ubyte .*|train-images-idx3-ubyte: .*"
    tracemalloc.start()
    with pytest.raises(DataError, match=message):
        load("mnist", data_dir=tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_a_gzip_bomb_is_read_no_further_than_its_header_says(tmp_path: Path) -> None:
    """64 MB of zeros behind twenty images, in 300 KB."""
    write_idx(tmp_path / "raw")
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        file.write(header(20, 28, 28) + bytes(20 * 784))
        for _ in range(4):
            file.write(bytes(2**24))
    (tmp_path / "raw" / "train-images-idx3-ubyte").write_bytes(packed.getvalue())
    tracemalloc.start()
    with pytest.raises(DataError, match="goes on after what its header says"):
        load("mnist", data_dir=tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_gzip_is_corrupt(damage: str, tmp_path: Path) -> None:
    write_idx(tmp_path / "raw", suffix=".gz")
    file = tmp_path / "raw" / "train-images-idx3-ubyte.gz"
    content = bytearray(file.read_bytes())
    if damage == "cut":
        del content[-2000:]
    else:
        content[-6] ^= 1  # of the checksum
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz is (corrupt|truncated)"):
        load("mnist", data_dir=tmp_path)


class Foreign:
    """What would run a command as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_no_pickle_runs_anything(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    with pytest.raises(DataError, match=r"batch is not read: it names pathlib.*Path.*, which is no array|getattr"):
        read_arrays(pickle.dumps({"data": Foreign(ran)}, protocol=2), "batch")
    assert not ran.exists()
    pickle.loads(pickle.dumps(Foreign(ran)))  # it would have run
    assert ran.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"data": numpy.zeros(4)}), r"it has an array of type 'f8', not of integers"),
        (pickle.dumps({"data": numpy.array([{}, None])}), r"array of type 'O8'|array of objects"),
        (pickle.dumps({"data": {1, 2}}, protocol=4), r"it has the instruction EMPTY_SET, which no array needs"),
        (pickle.dumps([1, 2]), r"it holds a list, not a dict"),
        (pickle.dumps({"data": numpy.zeros(9, numpy.uint8)})[:-20], r"is corrupt or no pickle"),
        (b"\x80\x02cos\nsystem\nU\x02id\x85R.", r"it names os.system, which is no array"),
        (b"\x80\x02cnumpy\nndarray\nK\x05\x85R.", r"it calls numpy.ndarray"),
        (b"\x80\x04}\x8c\x01aK\x01s}b.", r"it changes a dict"),
        (b"(S'id'\nios\nsystem\n.", r"it has the instruction STRING|INST"),
        (b"\x80\x02]K\x01K\x02u.", r"is corrupt or no pickle"),
        (b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s.", r"it has a dict whose keys are no text"),
        (b"", r"is corrupt or no pickle"),
        (b"PK\x03\x04", r"is corrupt or no pickle|which no array needs"),
    ],
    ids=[
        "floats",
        "objects",
        "a set",
        "a list",
        "cut",
        "a command",
        "a large array",
        "state",
        "text",
        "no mark",
        "deep",
        "0",
        "zip",
    ],
)
def test_a_pickle_of_anything_else_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_arrays(content, "the file")


def test_an_array_is_as_large_as_its_bytes() -> None:
    content = python2(bytes(8), 2, b"labels")
    assert read_arrays(content, "x")["data"].shape == (2, 4)
    huge = content.replace(b"M" + struct.pack("<H", 4), b"J" + struct.pack("<i", 2**31 - 1), 1)
    many = content.replace(b"K\x02M" + struct.pack("<H", 4) + b"\x86", b"(" + b"K\x01" * 9 + b"t", 1)
    for changed in (huge, many):
        assert changed != content
        with pytest.raises(DataError, match=r"it has an array of 8 bytes, which cannot have its shape"):
            read_arrays(changed, "x")


@pytest.mark.parametrize("order", ["<i8", ">i8", "u1"])
def test_integers_of_any_size_and_order_are_read(order: str) -> None:
    values = numpy.arange(6, dtype=order).reshape(2, 3)
    for protocol in (2, 3, 4, 5):
        for array in (values, numpy.asfortranarray(values)):
            read = read_arrays(pickle.dumps({"data": array}, protocol=protocol), "x")["data"]
            assert read.tolist() == values.tolist()


def pickled(labels: Any) -> bytes:
    """A batch of one image with these labels."""
    return pickle.dumps({"labels": labels, "data": numpy.zeros((1, 3072), numpy.uint8)})


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("data_batch_2", lambda content: content[:-100], r"data_batch_2 is corrupt or no pickle"),
        ("data_batch_2", lambda _: pickle.dumps({"labels": [1]}), r"data_batch_2 has labels, and not data and labels"),
        (
            "data_batch_2",
            lambda _: pickle.dumps({"labels": [1], "data": numpy.zeros((1, 3), "u1")}),
            r"not uint8 \(1, 3\)",
        ),
        ("data_batch_2", lambda _: pickle.dumps({"labels": "x", "data": numpy.zeros((1, 3072), "u1")}), r"of 0 labels"),
        ("batches.meta", lambda _: pickle.dumps({"label_names": ["cat"]}), r"batches.meta names 1 classes, not 10"),
        ("data_batch_2", lambda _: pickled([2**70]), r"of 0 labels"),
        ("test_batch", None, r"has no test_batch: the data set is incomplete"),
    ],
)
def test_a_damaged_cifar_is_named(
    file: str, change: Callable[[bytes], bytes] | None, message: str, tmp_path: Path
) -> None:
    write_cifar10(tmp_path, "2", draw(12, 3, 32, 32))
    path = tmp_path / "cifar-10-batches-py" / file
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        load("cifar10", data_dir=tmp_path)


def test_a_gzipped_cifar_is_read_and_a_bomb_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = draw(12, 3, 32, 32)
    write_cifar10(tmp_path, "bin", pixels)
    for file in (tmp_path / "cifar-10-batches-bin").glob("*.bin"):
        write(file.with_name(f"{file.name}.gz"), file.read_bytes())
        file.unlink()
    assert numpy.array_equal(
        training_images(load("cifar10", data_dir=tmp_path)).numpy(), pixels[:10].transpose(0, 2, 3, 1)
    )
    monkeypatch.setattr("archzoo.data._cifar.MOST", 6_000)
    with pytest.raises(DataError, match=r"data_batch_1.bin.gz has more than 6,000 bytes: it is no file of this kind"):
        load("cifar10", data_dir=tmp_path)


def test_a_damaged_binary_cifar_is_named(tmp_path: Path) -> None:
    write_cifar10(tmp_path, "bin", draw(12, 3, 32, 32))
    file = tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"data_batch_3.bin has 6,145 bytes, which are no images of 3,073"):
        load("cifar10", data_dir=tmp_path)
    file.write_bytes(b"\x0b" + content[1:])
    with pytest.raises(DataError, match=r"cifar-10-batches-bin: labels must be from 0 to 9, not from 3 to 11"):
        load("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda data: data[: len(data) // 2], r"is truncated: a part says"),
        (lambda data: b"<html>" + data, r"is no MATLAB file: it begins with b'<html>MATLAB"),
        (lambda data: data[:128] + struct.pack("<II", 14, 2**32 - 1), r"a part says 4,294,967,295 bytes, and 0 follow"),
        (lambda data: data[:128] + data[136:144] * 20, r"is corrupt|is truncated"),
    ],
)
def test_a_hostile_matlab_file_is_refused(content: Callable[[bytes], bytes], message: str, tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    write_svhn(tmp_path, draw(4, 32, 32, 3))
    file = tmp_path / "train_32x32.mat"
    file.write_bytes(content(file.read_bytes()))
    with pytest.raises(DataError, match=message):
        load("svhn", data_dir=tmp_path)


def test_a_matlab_file_of_something_else_is_refused(tmp_path: Path) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    write_svhn(tmp_path, draw(4, 32, 32, 3))
    pixels = numpy.zeros((32, 32, 3, 4), dtype=numpy.uint8)
    for content, message in (
        ({"Y": pixels}, r"X must be uint8 \(height, width, 3, N\), not nothing \(\)"),
        ({"X": pixels.astype(float), "y": [[1]]}, r"X must be uint8 .*, not double \(32, 32, 3, 4\)"),
        ({"X": pixels, "y": [[1], [2]]}, r"y must be a label for each of the 4 images, not .* \(2, 1\)"),
    ):
        savemat(tmp_path / "train_32x32.mat", content)
        with pytest.raises(DataError, match=message):
            load("svhn", data_dir=tmp_path)


def test_a_data_folder_comes_first_then_debians_then_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_hub(*_: object) -> Any:
        loaded = load_local("mnist", tmp_path / "hub")
        assert loaded is not None
        return loaded[:2]

    for folder in ("mine", "debian", "hub"):
        write_idx(tmp_path / folder / "mnist")
    monkeypatch.setattr(local, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(sources, "load_hub", from_hub)
    assert str(tmp_path / "mine") in load("mnist", data_dir=tmp_path / "mine").train.origin
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "debian") in load("mnist", data_dir=tmp_path / "empty").train.origin
    monkeypatch.setattr(local, "DEBIAN", tmp_path / "nothing")
    origin = load("mnist", data_dir=tmp_path / "empty").train.origin
    assert origin.startswith(f"mnist from the hub's ylecun/mnist, as {tmp_path / 'empty'} has no files of it, sha256 ")
    assert load("mnist").train.origin.startswith("mnist from the hub's ylecun/mnist, sha256 ")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digits", {}, r"data_dir holds the files of fashion_mnist, .*; digits is not looked for there"),
        ("mnist", {"data_dir": "nowhere"}, r"data_dir must be a folder, and nowhere is none"),
        ("emnist", {}, r"has no files of emnist, and the hub has none: unpack gzip.zip of https"),
        ("fashion_mnist", {"shorter_side": 16}, r"files of fashion_mnist hold pixels, .*: leave shorter_side out"),
        ("fashion_mnist", {"channels": 3}, r"have 1 channels, but the network takes 3: build it with in_channels=1"),
    ],
)
def test_requests_that_cannot_be_met_say_why(name: str, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_idx(tmp_path / "fashion-mnist")
    with pytest.raises(DataError, match=message):
        load(name, **({"data_dir": tmp_path} | options))


def test_files_of_another_data_set_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST and Fashion-MNIST have the same file names."""
    write_idx(tmp_path / "raw")
    md5 = hashlib.md5((tmp_path / "raw" / "train-images-idx3-ubyte").read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(RELEASED, "fashion_mnist", frozenset({md5}))
    with pytest.raises(DataError, match=r"raw are those of fashion_mnist, not of mnist: use --data fashion_mnist"):
        load("mnist", data_dir=tmp_path)
    assert "(IDX files)" in load("fashion_mnist", data_dir=tmp_path).train.origin  # the other three are unknown


def test_every_named_data_set_is_a_source_with_its_number_of_images() -> None:
    from archzoo.recipes import TRAINING_IMAGES

    assert LAYOUTS.keys() <= sources.SOURCES.keys()
    assert {name: TRAINING_IMAGES[name] for name in ("fashion_mnist", "emnist", "emnist_byclass")} == {
        "fashion_mnist": 60_000,
        "emnist": 112_800,
        "emnist_byclass": 697_932,
    }


@pytest.mark.slow
def test_the_commands_take_the_folder(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_idx(tmp_path / "files" / "MNIST" / "raw")
    trained = ("lenet5_textbook", "--data", "mnist", "--data-dir", "files", "--device", "cpu")
    code, _, err = shell("train", *trained, "epochs=1", "batch_size=4")
    assert code == 0, err
    assert "data: mnist from files/MNIST/raw (IDX files), sha256 " in err
    result = (tmp_path / "runs" / "lenet5_textbook-mnist" / "result.json").read_text()
    assert '"data_origin": "mnist from files/MNIST/raw (IDX files), sha256 ' in result
    file = "runs/lenet5_textbook-mnist/net.safetensors"
    code, out, err = shell("evaluate", file, "--data", "mnist", "--data-dir", "files")
    assert code == 0, err
    assert "mnist, test" in out


@pytest.mark.slow
@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_debians_fashion_mnist_is_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "DEBIAN", FASHION.parent)
    loaded = load_local("fashion_mnist", None)
    assert loaded is not None
    train, test, where = loaded
    assert where == f"{FASHION} (IDX files, as released)"
    assert (len(train), len(test), train.size) == (60_000, 10_000, (28, 28))
    assert torch.bincount(train.labels).tolist() == [6000] * 10
    counts, values = torch.bincount(train.pixels, minlength=256).double(), torch.arange(256) / 255
    mean = (counts @ values.double()) / counts.sum()
    deviation = ((counts @ (values.double() - mean).square()) / counts.sum()).sqrt()
    assert NORMALIZATION["fashion_mnist"] == ((round(float(mean), 4),), (round(float(deviation), 4),))
    _, origin = with_origin(train, test, where)
    # By hand from the .gz files, with hashlib and struct.
    assert origin.origin.endswith("ece172613115fb18b120bec8f6c02271af90b8b8f0a5af5c51cbd5ceed68e619")
