"""Files that want something: memory, code, time, or that a value is lost. None gets it, and each is told in a line."""

import json
import os
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import archzoo
from archzoo.errors import ArchzooError, TransferError, WeightsError
from archzoo.weights import _guarding, _nesting, initialize_from, save
from archzoo.weights._files import write_state
from archzoo.weights._kinds import exactly
from archzoo.weights._reading import read_state

FIRST = "features.C1.weight"


@pytest.fixture(scope="module")
def lenet() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return archzoo.build("lenet5").state_dict()


def refused(path: Path, load: Any = read_state) -> str:
    """The message of the WeightsError with which a file is refused: one short line."""
    with pytest.raises(WeightsError) as error:
        load(path)
    message = str(error.value)
    assert len(message) < 2_500
    assert message.isprintable()
    return message


# By hand: 2^24 + 1 is the first integer that float32 does not have, and 2049 the first that float16 does not have.
EXACT = [
    (torch.tensor([0.5, -3.0], dtype=torch.float16), [0.5, -3.0]),
    (torch.tensor([2.0**100], dtype=torch.bfloat16), [2.0**100]),
    (torch.tensor([0.1], dtype=torch.float32).double(), [0.10000000149011612]),
    (torch.tensor([0, 255], dtype=torch.uint8), [0.0, 255.0]),
    (torch.tensor([2**24, -(2**24), 2**30]), [2.0**24, -(2.0**24), 2.0**30]),
    (torch.tensor([True, False]), [1.0, 0.0]),
    (torch.tensor([1.5 + 0j]), [1.5]),
    (torch.tensor([448.0, 2**-9]).to(torch.float8_e4m3fn), [448.0, 2**-9]),
    (torch.tensor([57344.0]).to(torch.float8_e5m2), [57344.0]),
    (torch.tensor([65535], dtype=torch.uint16), [65535.0]),
]
INEXACT = [
    (torch.tensor([0.1], dtype=torch.float64), torch.float32),
    (torch.tensor([2**24 + 1]), torch.float32),
    (torch.tensor([2**63 - 1]), torch.float32),
    (torch.tensor([1 + 1j]), torch.float32),
    (torch.tensor([0.5]), torch.int64),
    (torch.tensor([float("nan")]), torch.int64),
    (torch.tensor([1e300], dtype=torch.float64), torch.float32),
    (torch.tensor([2049.0]), torch.float16),
    (torch.tensor([-1.0]), torch.uint8),
    (torch.tensor([2.0**17], dtype=torch.bfloat16), torch.float16),
    (torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), torch.float32),
]


@pytest.mark.parametrize(("tensor", "values"), EXACT, ids=lambda value: str(getattr(value, "dtype", "")))
def test_a_tensor_of_another_kind_is_converted_where_no_value_changes(tensor: Tensor, values: list[float]) -> None:
    converted = exactly(tensor, torch.float32)
    assert converted is not None
    assert converted.dtype == torch.float32
    assert converted.tolist() == values


@pytest.mark.parametrize(("tensor", "dtype"), INEXACT, ids=str)
def test_a_tensor_of_another_kind_is_refused_where_a_value_would_change(tensor: Tensor, dtype: torch.dtype) -> None:
    assert exactly(tensor, dtype) is None


def test_nan_stays_nan() -> None:
    converted = exactly(torch.tensor([float("nan"), 1.0], dtype=torch.float64), torch.float32)
    assert converted is not None
    assert converted.isnan().tolist() == [True, False]


KINDS: dict[str, Any] = {
    "half": lambda w: w.half(),
    "sparse": lambda w: w.to_sparse(),
    "expanded": lambda w: w[:1, :1, :1, :1].expand(w.shape),
    "strided": lambda w: w.transpose(2, 3).contiguous().transpose(2, 3),
    "parameter": nn.Parameter,
    "quantized": lambda w: torch.quantize_per_tensor(w, 0.25, 3, torch.qint8),
}


@pytest.mark.filterwarnings("ignore")  # torch is about to give up its quantized tensors
@pytest.mark.parametrize("kind", KINDS)
def test_tensors_of_other_kinds_load_with_their_values(kind: str, lenet: dict[str, Tensor], tmp_path: Path) -> None:
    tensor = KINDS[kind](lenet[FIRST])
    torch.save({**lenet, FIRST: tensor}, tmp_path / "net.pth")
    loaded = archzoo.build("lenet5", weights=tmp_path / "net.pth").state_dict()[FIRST]
    dense = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
    assert torch.equal(loaded, dense.dequantize() if dense.is_quantized else dense.float())


@pytest.mark.filterwarnings("ignore")  # of nested tensors, which are a prototype
def test_kinds_whose_values_would_be_lost_are_refused(lenet: dict[str, Tensor], tmp_path: Path) -> None:
    path, w = tmp_path / "net.pth", lenet[FIRST]
    indices = torch.tensor([[10**6], [0], [0], [0]])
    bad = {
        "has no values: it was on the meta device": w.to("meta"),
        "is a nested tensor": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "complex64, with values that float32 does not have": torch.complex(w, w),
        "float64, with values that float32 does not have": w.double() + 1e-12,
        "far more than the file itself": torch.zeros(1).expand(10**9, 10**9),
        "found index 1000000": torch.sparse_coo_tensor(indices, torch.ones(1), w.shape, check_invariants=False),
        "of another shape": torch.zeros(0, 10**15),
        "1 of another shape: features.C1.weight a scalar instead": torch.zeros(()),
        "1 not finite": torch.full_like(w, float("inf")).half(),
    }
    for message, tensor in bad.items():
        torch.save({**lenet, FIRST: tensor}, path)
        assert message in refused(path, lambda path: archzoo.build("lenet5", weights=path))
    torch.save({**lenet, FIRST: torch.complex(w, w)}, path)
    with pytest.raises(TransferError, match="complex64, with values that float32 does not have"):
        initialize_from(archzoo.build("lenet5"), path)


def described(lenet: dict[str, Tensor], path: Path, name: str = "lenet5", options: str = "{}") -> Path:
    save_file(lenet, path, {"archzoo": name, "options": options})
    return path


HEADS = {
    "num_classes": ("resnet20", '{"num_classes": 1000000000}', "describes num_classes=1000000000, and has"),
    "depth": ("resnet_cifar", '{"depth": 600000002}', "describes depth=600000002, and has"),
    "deep enough to pass": ("resnet_cifar", '{"depth": 9998}', "describes a larger resnet_cifar than its"),
    "k": ("densenet_bc", '{"k": 60000}', "larger densenet_bc|does not fit|cannot be built"),
    "widths": ("fractalnet", '{"widths": [1000000000, 1, 1, 1, 1]}', "describes widths=1000000000"),
    "another network": ("resnet20", "{}", "does not fit what it describes, and nothing was loaded: .* missing"),
    "no such option": ("lenet5", '{"\\u001b[31m": 1}', r"cannot be built: .*has no option '\\x1b"),
    "a wrong type": ("lenet5", '{"num_classes": "10"}', "cannot be built: .*must be an integer"),
    "no such network": ("nothing\u001b]0;", "{}", "describes a network that is not here"),
    "a long name": ("a" * 10**6, "{}", "longer than those of any network"),
    "long options": ("lenet5", "[" * 10**6, "longer than those of any network"),
    "deep options": ("lenet5", "[" * 9_999, "the options in its metadata cannot be read"),
    "a list": ("lenet5", "[1]", "are a list, not a table"),
    "not a number": ("lenet5", '{"num_classes": NaN}', "cannot be built"),
}


@pytest.mark.parametrize("kind", HEADS)
def test_what_a_head_claims_is_compared_before_a_network_is_built(
    kind: str, lenet: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, options, message = HEADS[kind]
    path = described(lenet, tmp_path / "net.safetensors", name, options)
    empty = torch.empty

    def allocated(*size: Any, **settings: Any) -> Tensor:
        tensor = empty(*size, **settings)
        assert tensor.is_meta, "a network was built"
        return tensor

    monkeypatch.setattr(torch, "empty", allocated)
    with pytest.raises(WeightsError, match=message) as error:
        archzoo.load(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 2_500


def test_a_head_is_compared_also_where_the_network_is_named(lenet: dict[str, Tensor], tmp_path: Path) -> None:
    path = described(lenet, tmp_path / "net.safetensors", "resnet20", '{"num_classes": 1000000000}')
    with pytest.raises(WeightsError, match="describes num_classes=1000000000"):
        archzoo.build("resnet20", weights=path)


def test_lenet_has_a_file_too(lenet: dict[str, Tensor], tmp_path: Path) -> None:
    loaded = archzoo.load(described(lenet, tmp_path / "net.safetensors")).state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in lenet.items())


def pickled(instructions: bytes, path: Path, *, compressed: bytes = b"") -> Path:
    """A file of torch with these instructions as its pickle."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + instructions)
        archive.writestr("archive/version", "3\n")
        if compressed:
            archive.writestr("archive/data/0", compressed)
    return path


HOSTILE = {
    "a key that hashing would fall over": b"}" + b"N" + b"\x85" * 300_000 + b"Ns.",
    "a long name of a function": b"cos\n" + b"a" * 1_000_000 + b"\n)R.",
    "a function with control characters": b"c\x1b[2Jos\nsys\x07tem\n)R.",
    "a huge bytearray": b"cbuiltins\nbytearray\n\x8a\x07" + (10**16).to_bytes(7, "little") + b"\x85R.",
    "a string without end": b"X\xff\xff\xff\x7fabc",
    "an empty stack": b"a.",
    "no end": b"}",
    "no tensor": b"K\x01.",
    "a rebuilt tensor of nothing": b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR.",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_pickle_is_refused_in_a_line(kind: str, tmp_path: Path) -> None:
    refused(pickled(HOSTILE[kind], tmp_path / "net.pth"))
    (tmp_path / "raw.pth").write_bytes(b"\x80\x02" + HOSTILE[kind])
    refused(tmp_path / "raw.pth")


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guarding, "FREE", 1 << 20)
    path = pickled(b"}.", tmp_path / "net.pth", compressed=b"\x00" * (2 << 20))
    assert "would unpack to" in refused(path)


def test_a_pickle_of_endless_instructions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_nesting, "LONGEST", 1000)
    assert "than in any checkpoint" in refused(pickled(b"N0" * 600 + b".", tmp_path / "net.pth"))


def headed(head: bytes, path: Path) -> Path:
    path.write_bytes(struct.pack("<Q", len(head)) + head)
    return path


@pytest.mark.parametrize(
    "head",
    [
        b"{" * 100_000,
        b'{"a": {"dtype": "F32", "shape": [9999999999, 9999999999], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}',
        b'{"a": {"dtype": "\x1b[2J", "shape": [1], "data_offsets": [0, 4]}}',
        b"\xff\xfe",
        b"",
        b'{"' + b"n" * 1_000_000 + b'": 1}',
    ],
    ids=["deep", "overflow", "backwards", "control", "no text", "empty", "long"],
)
def test_a_hostile_head_is_refused_in_a_line(head: bytes, tmp_path: Path) -> None:
    refused(headed(head, tmp_path / "net.safetensors"))


def test_only_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    os.mkfifo(tmp_path / "fifo.pth")
    (tmp_path / "device.pth").symlink_to("/dev/zero")
    (tmp_path / "broken.pth").symlink_to("nothing")
    (tmp_path / "circle.pth").symlink_to("circle.pth")
    (tmp_path / "file").write_text("")
    said = {
        "folder.safetensors": "is a folder: give the file in it",
        "fifo.pth": "is a device, a pipe or a socket: give a file",
        "device.pth": "is a device, a pipe or a socket: give a file",
        "broken.pth": "there is no file",
        "circle.pth": "cannot be read: Too many levels of symbolic links",
        "file/net.pth": "there is no file",
        "a\0b.pth": "cannot be read: embedded null",
        "a" * 300 + ".pth": "cannot be read: File name too long",
    }
    for name, message in said.items():
        assert message in refused(tmp_path / name)


def test_names_of_tensors_are_shown_without_control_characters(lenet: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({**lenet, "\x1b[31mred\n\u202e" + "x" * 10**6: torch.zeros(1)}, path)
    message = refused(path, lambda path: archzoo.build("lenet5", weights=path))
    assert r"1 unexpected: \u001b[31mred \u202exxx" in message
    assert len(message) < 600


def test_an_error_is_one_line_of_a_readable_length() -> None:
    error = ArchzooError("a\x1b[2J\nb\u202e" + "x" * 10**7 + "end")
    assert str(error).startswith(r"a\u001b[2J b\u202exxx")
    assert str(error).endswith("xend")
    assert len(str(error)) == 2000


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_same_network_is_the_same_bytes(suffix: str, lenet: dict[str, Tensor], tmp_path: Path) -> None:
    kinds = set()
    for number in range(12):  # the writer of safetensors orders two entries of metadata by a hash with a random seed
        path = tmp_path / f"net{number}{suffix}"
        write_state(path, lenet, {"archzoo": "lenet5", "options": "{}", "é": '\x7f\x1f\\"', "a": "", "b": "", "c": ""})
        kinds.add(path.read_bytes())
    assert len(kinds) == 1
    if suffix == ".safetensors":
        (content,) = kinds
        head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        assert list(head["__metadata__"]) == ["a", "archzoo", "b", "c", "options", "é"]
        assert head["__metadata__"]["é"] == '\x7f\x1f\\"'
        assert torch.equal(read_state(path)[0][FIRST], lenet[FIRST])


def test_the_order_of_options_changes_no_byte(tmp_path: Path) -> None:
    net = archzoo.build("resnet_cifar", depth=8, num_classes=3)
    save(net, tmp_path / "a.safetensors", "resnet_cifar", depth=8, num_classes=3)
    save(net, tmp_path / "b.safetensors", "resnet_cifar", num_classes=3, depth=8)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_what_load_could_not_read_is_not_saved(tmp_path: Path) -> None:
    net = archzoo.build("lenet5")
    for message, changed in (
        ("has no values: it was on the meta device", archzoo.build("lenet5", device="meta")),
        ("load could not read this network again: .*float64, with values that float32", net.double()),
    ):
        if "float64" in message:
            with torch.no_grad():
                next(changed.parameters()).add_(1e-12)
        with pytest.raises(WeightsError, match=message):
            save(changed, tmp_path / "net.safetensors", "lenet5")
    assert os.listdir(tmp_path) == []
    with pytest.raises(WeightsError, match="could not write"):
        write_state(Path("/proc/nowhere/net.pth"), {"a": torch.zeros(1)})


def test_the_hooks_of_building_are_gone_afterwards(lenet: dict[str, Tensor], tmp_path: Path) -> None:
    from torch.nn.modules import module as hooks

    with pytest.raises(WeightsError):
        archzoo.load(described(lenet, tmp_path / "net.safetensors", "resnet_cifar", '{"depth": 50000}'))
    assert not hooks._global_parameter_registration_hooks
    assert not hooks._global_module_registration_hooks


def test_a_file_that_is_no_pickle_gives_no_warning_of_its_escapes() -> None:
    """A safetensors file may begin with the bytes of an instruction for text; a backslash then may escape anything."""
    assert not _nesting._refuse_deep(BytesIO(b"S'\\\xee'\n."), Path("net.safetensors"))
