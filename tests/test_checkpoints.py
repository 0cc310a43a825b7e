"""Checkpoints as people have them: any name, any wrapper, metadata of any class, and files that are something else."""

import argparse
import collections
import datetime
import gzip
import io
import json
import os
import pathlib
import pickle
import re
import stat
import subprocess
import tarfile
import types
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import archzoo
from archzoo.errors import WeightsError
from archzoo.weights import _recognition as recognition
from archzoo.weights import digest, initialize_from, save
from archzoo.weights._reading import read_checkpoint, read_state
from archzoo.weights._recognition import kind_of

# Two layers with the names of a torch.nn.Sequential, and values that tell them apart.
STATE = {"conv1.weight": torch.arange(54.0).reshape(2, 3, 3, 3), "fc.weight": torch.arange(4.0).reshape(2, 2)}
AVERAGED = {name: tensor + 100 for name, tensor in STATE.items()}


def same(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return state.keys() == expected.keys() and all(
        torch.equal(tensor, state[name]) for name, tensor in expected.items()
    )


def prefixed(prefix: str, state: Mapping[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


NAMES = ("model.pth.tar", "last.ckpt", "resnet20-12fca82f.th", "weights", "weights.safetensors", "w.h5", "v1.2-final")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_a_checkpoint_is_told_from_its_content_whatever_its_name(name: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if form == "safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=form == "zip")
    assert same(read_state(path)[0], STATE)


WRAPPERS: dict[str, Any] = {
    "state_dict": {"state_dict": STATE, "epoch": 3, "best_acc1": torch.tensor(0.7)},
    "model": {"model": STATE, "optimizer": {"state": {0: {"exp_avg": STATE["fc.weight"]}}, "param_groups": []}},
    "model_state_dict": {"model_state_dict": STATE, "loss": 0.1},
    "net": {"net": STATE},
    "params": {"params": STATE},
    "weights": {"weights": STATE},
    "nested": {"model": {"state_dict": {"params": STATE}}},
    "module of DeepSpeed": {"module": STATE, "optimizer": None},
    "a key that says nothing": {"resnet": STATE, "optimizer_state": STATE, "rng_state": torch.zeros(5), "epoch": 1},
    "a list": [STATE, 17],
    "DDP": {"state_dict": prefixed("module.")},
    "compiled": prefixed("_orig_mod."),
    "DDP of compiled": prefixed("module._orig_mod."),
    "compiled DDP": prefixed("_orig_mod.module."),
    "Lightning": {"state_dict": prefixed("model."), "pytorch-lightning_version": "2.1"},
    "Lightning with DDP": {"state_dict": prefixed("model.module.")},
    "backbone": {"state_dict": prefixed("backbone.")},
    "parts that are compiled": {"conv1._orig_mod.weight": STATE["conv1.weight"], "fc.weight": STATE["fc.weight"]},
    "checkpointed parts": {
        "conv1._checkpoint_wrapped_module.weight": STATE["conv1.weight"],
        "fc.weight": STATE["fc.weight"],
    },
    "AveragedModel": {"n_averaged": torch.tensor(5), **prefixed("module.")},
    "only averaged": {"state_dict_ema": STATE, "epoch": 2},
    "no averaged ones yet": {"state_dict": STATE, "state_dict_ema": None},
    "numpy": {"state_dict": {name: tensor.numpy() for name, tensor in STATE.items()}},
    "parameters": {name: nn.Parameter(tensor) for name, tensor in STATE.items()},
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_and_prefixes_are_taken_off(wrapper: str, tmp_path: Path) -> None:
    torch.save(WRAPPERS[wrapper], tmp_path / "file")
    assert same(read_state(tmp_path / "file")[0], STATE)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"state_dict": STATE, "state_dict_ema": AVERAGED},
            "averaged weights of state_dict_ema are read, not .*state_",
        ),
        (
            {"model": STATE, "model_ema": {"n_averaged": torch.tensor(1), **prefixed("module.", AVERAGED)}},
            "of model_ema",
        ),
        ({"net": STATE, "ema": {"shadow": AVERAGED}}, r"averaged weights of ema\.shadow"),
        ({**prefixed("model."), **prefixed("ema_model.", AVERAGED)}, r"averaged weights of ema_model\.\* are read"),
    ],
)
def test_averaged_weights_are_preferred_and_that_is_said(content: Any, said: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "file")
    with pytest.warns(UserWarning, match=said):
        state, _ = read_state(tmp_path / "file")
    assert all(torch.equal(state[name], tensor) for name, tensor in AVERAGED.items())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_of_two_sets_of_weights_in_one_table_none_is_dropped_unsaid(prefix: str, tmp_path: Path) -> None:
    for content in ({**STATE, **prefixed(prefix, AVERAGED)}, {**prefixed(prefix, AVERAGED), **STATE}):
        torch.save(content, tmp_path / "file")
        with pytest.raises(WeightsError, match="has two sets of weights in one table, .*conv1.weight.* and .*conv1"):
            read_state(tmp_path / "file")
    torch.save({**STATE, **prefixed(prefix, STATE)}, tmp_path / "file")  # twice the same
    assert same(read_state(tmp_path / "file")[0], STATE)


def test_averaged_weights_beside_others_without_a_prefix_are_preferred_too(tmp_path: Path) -> None:
    torch.save({**STATE, **prefixed("ema.", AVERAGED)}, tmp_path / "file")
    with pytest.warns(UserWarning, match=r"averaged weights of ema\.\* are read, not those beside them"):
        assert same(read_state(tmp_path / "file")[0], AVERAGED)
    torch.save({**STATE, "bn.running_mean": torch.ones(2), **prefixed("ema.", AVERAGED)}, tmp_path / "file")
    with pytest.raises(WeightsError, match="has two sets of weights in one table"):
        read_state(tmp_path / "file")


def test_averaged_weights_without_statistics_are_not_mixed_with_others(tmp_path: Path) -> None:
    plain = {**STATE, "bn.running_mean": torch.ones(2)}
    torch.save({"model": plain, "model_ema": AVERAGED}, tmp_path / "file")
    with pytest.warns(UserWarning, match=r"of model are read, not the averaged ones of model_ema, which lack 1 "):
        assert same(read_state(tmp_path / "file")[0], plain)


def test_what_stands_beside_a_wrapped_network_is_left_out_where_it_fits_nowhere(tmp_path: Path) -> None:
    net = archzoo.build("lenet5_textbook")
    wrapped = {**prefixed("encoder_q.", net.state_dict()), **prefixed("encoder_k.", net.state_dict())}
    torch.save({"state_dict": prefixed("module.", {**wrapped, "queue": torch.zeros(3)})}, tmp_path / "moco.pth.tar")
    count = len(net.state_dict()) + 1
    with pytest.warns(UserWarning, match=f"{count} tensors are left out, which lenet5_textbook does not have"):
        again = archzoo.build("lenet5_textbook", weights=tmp_path / "moco.pth.tar")
    assert same(again.state_dict(), net.state_dict())
    # A last layer that is beside the backbone belongs to the network.
    head = {name for name in net.state_dict() if name.startswith("classifier.")}
    parted = {name if name in head else f"backbone.{name}": tensor for name, tensor in net.state_dict().items()}
    torch.save(parted, tmp_path / "parted")
    assert same(archzoo.build("lenet5_textbook", weights=tmp_path / "parted").state_dict(), net.state_dict())


def test_several_state_dicts_are_refused_with_their_names(tmp_path: Path) -> None:
    torch.save({"generator": STATE, "discriminator": AVERAGED}, tmp_path / "gan.pt")
    with pytest.raises(WeightsError, match=r"several state dicts \(generator, discriminator\).*ckpoint\['generator'\]"):
        read_state(tmp_path / "gan.pt")
    torch.save({"online": STATE, "target": AVERAGED, "optimizer": STATE}, tmp_path / "two.pt")
    with pytest.raises(WeightsError, match=r"several state dicts \(online, target\)"):
        read_state(tmp_path / "two.pt")
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "none.pt")
    with pytest.raises(WeightsError, match=r"holds no state dict \(tensors by name\), but a table of epoch, lr"):
        read_state(tmp_path / "none.pt")


class Settings:
    """Like the arguments that a training script pickles, which is __main__ there."""

    __module__ = "__main__"


METADATA: dict[str, Any] = {
    "args": argparse.Namespace(lr=0.1, arch="resnet20", root=pathlib.Path("data")),
    "acc": numpy.float64(0.5),
    "loss": numpy.float32(0.25),
    "count": numpy.int64(-3),
    "flag": numpy.bool_(True),
    "text": numpy.str_("text"),
    "dtype": numpy.dtype("f4"),
    "curve": numpy.arange(3),
    "labels": numpy.array(["cat", "dog"]),
    "random": numpy.random.RandomState(0).get_state(),
    "generator": numpy.random.RandomState(0),
    "when": datetime.datetime(2020, 1, 2),
    "took": datetime.timedelta(3),
    "lists": collections.defaultdict(list, a=[1]),
    "last": collections.deque([1, 2]),
    "simple": types.SimpleNamespace(a=1),
    "kinds": frozenset({1}),
    "class": list,
    "bytes": b"xyz",
    "array": bytearray(b"xyz"),
    "dtype of torch": torch.float32,
    "ordered": collections.OrderedDict(a=1),
    "range": range(3),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_metadata_of_harmless_classes_is_read_in_every_protocol(protocol: int, form: str, tmp_path: Path) -> None:
    content = {"state_dict": STATE, **METADATA}
    torch.save(content, tmp_path / "f", pickle_protocol=protocol, _use_new_zipfile_serialization=form == "zip")
    checkpoint = read_checkpoint(tmp_path / "f")
    assert same(checkpoint.state_dict.tensors, STATE)
    # What the file says of itself, in plain values.
    values = {key: checkpoint.values[key] for key in ("acc", "loss", "count", "flag")}
    assert values == {"acc": 0.5, "loss": 0.25, "count": -3, "flag": True}
    assert checkpoint.values["args"] == {"lr": 0.1, "arch": "resnet20"}


def test_a_class_of_the_training_script_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import __main__

    settings = Settings()
    settings.lr = 0.1  # type: ignore[attr-defined]
    monkeypatch.setattr(__main__, "Settings", Settings, raising=False)
    torch.save({"state_dict": STATE, "settings": settings}, tmp_path / "f")
    monkeypatch.delattr(__main__, "Settings")
    assert same(read_state(tmp_path / "f")[0], STATE)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<i2"])
def test_arrays_of_numpy_keep_values_type_and_shape(kind: str, order: Any, tmp_path: Path) -> None:
    array = numpy.asarray(numpy.arange(6).reshape(2, 3), dtype=kind, order=order)
    with (tmp_path / "arrays.pkl").open("wb") as file:
        pickle.dump({"fc.weight": array}, file)
    tensor = read_state(tmp_path / "arrays.pkl")[0]["fc.weight"]
    assert tensor.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensor.dtype == {"<f4": torch.float32, ">f4": torch.float32, "<f8": torch.float64, "<i2": torch.int16}[kind]


def test_a_pickle_without_torch_save_and_a_whole_network_give_their_tensors(tmp_path: Path) -> None:
    with (tmp_path / "plain.pkl").open("wb") as file:
        pickle.dump(STATE, file)
    assert same(read_state(tmp_path / "plain.pkl")[0], STATE)
    net = archzoo.build("resnet20")
    torch.save({"epoch": 1, "model": net}, tmp_path / "whole.pt")
    assert same(read_state(tmp_path / "whole.pt")[0], net.state_dict())
    layers = nn.Sequential(collections.OrderedDict(conv=nn.Conv2d(3, 2, 3), bn=nn.BatchNorm2d(2)))
    layers.register_buffer("hidden", torch.zeros(1), persistent=False)
    torch.save(layers, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert same(read_state(tmp_path / "old.pt")[0], layers.state_dict())


def ran(*_: Any) -> None:
    raise AssertionError("the code of a file ran")


class Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


HOSTILE: dict[str, Any] = {
    "(posix|nt).system": Calls(os.system, "exit 1"),
    "builtins.eval": Calls(eval, "1"),
    "builtins.exec": Calls(exec, "1"),
    "builtins.getattr": Calls(getattr, torch.Tensor, "data"),
    "subprocess.Popen": Calls(subprocess.Popen, ["true"]),
    "tests.test_checkpoints.ran": Calls(ran),
    "numpy.load": Calls(numpy.load, "file"),
    "torch.serialization.load": Calls(torch.load, "file"),
    "operator.itemgetter": Calls(__import__("operator").itemgetter, 1),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_a_function_that_a_file_would_run_is_named_and_not_run(name: str, form: str, tmp_path: Path) -> None:
    content = {"state_dict": STATE, "extra": HOSTILE[name]}
    with (tmp_path / "f").open("wb") as file:
        if form == "pickle":
            pickle.dump(content, file, protocol=4)
        else:
            torch.save(content, file, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(WeightsError, match=f"is not loaded: it would run {name}, but weights need no code$"):
        read_state(tmp_path / "f")


# Written instruction by instruction: what no pickler writes.
INSTRUCTIONS = {
    "the attributes of a class": b"\x80\x02ccollections\nOrderedDict\nN}X\x01\x00\x00\x00aK\x01s\x86b.",
    "the attributes of a function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.",
    "items of a class": b"\x80\x02ctorch.nn.parameter\nParameter\nK\x01K\x02s.",
    "a call of a tuple": b"\x80\x02))R.",
    "an old instance": b"(iargparse\nNamespace\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "a persistent name": b"\x80\x02Pname\n.",
    "a module of an encoding": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x07\x00\x00\x00idna__x\x86R.",
    "an empty stack": b"\x80\x02R.",
    "a length beyond the file": b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x0f.",
    "no end": b"\x80\x02}q\x00",
    "a deep key": b"\x80\x02K\x01" + b"\x85" * 100_000 + b"}q\x00h\x00K\x01s.",
}


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_instructions_that_no_checkpoint_needs_are_an_error_in_one_line(instructions: str, tmp_path: Path) -> None:
    (tmp_path / "f.pkl").write_bytes(INSTRUCTIONS[instructions])
    with pytest.raises(WeightsError) as failure:
        read_state(tmp_path / "f.pkl")
    assert len(str(failure.value)) < 400
    assert str(failure.value).isprintable()
    assert not hasattr(collections.OrderedDict, "a")


@pytest.mark.parametrize("key", ["state_dict", "part", "_modules"])
def test_a_checkpoint_that_holds_itself_is_refused(key: str, tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    for number in range(50):
        content[f"{key}{number or ''}"] = content
    torch.save(content, tmp_path / "f")
    with pytest.raises(WeightsError, match="holds no state dict"):
        read_state(tmp_path / "f")


def test_a_pickled_network_that_holds_itself_ends(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(1, 1))
    for name in ("left", "right"):
        net._modules[name] = net
    torch.save(net, tmp_path / "net")
    assert {"0.weight", "left.0.weight", "left.right.0.bias"} <= read_state(tmp_path / "net")[0].keys()


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def tarred(name: str, content: bytes = b"content") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def saved(content: Any = STATE, **how: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **how)
    return buffer.getvalue()


def safetensors_of(state: dict[str, Tensor]) -> bytes:
    from safetensors.torch import save as to_bytes

    return to_bytes(state)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 102530333\n"
OTHER_KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", r"is empty \(0 bytes\): download the file itself"),
    "zeros": (lambda: bytes(5000), "nothing but zero bytes at its beginning: an interrupted copy"),
    "HTML": (lambda: b"\n <!DOCTYPE html><html><title>Sign in</title>", "is a page of HTML, not the file.*: download"),
    "XML": (lambda: b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML answer of a server"),
    "JSON": (lambda: b'{"message": "Not Found"}', "is JSON .*Not Found"),
    "text": (lambda: b"these are no weights", "is text .'these are no weights'.: download"),
    "Git LFS": (lambda: LFS, "is a Git LFS pointer, not the file that it points to: run git lfs pull"),
    "gzip": (lambda: gzip.compress(b"x"), "is compressed by gzip: unpack it"),
    "tar": (lambda: tarred("weights.pth"), "is a tar archive: unpack it"),
    "tar of torch": (lambda: tarred("sys_info"), "is a tar of torch 0.1: load it with torch 0.4"),
    "zip": (lambda: zipped(a__weights=b"x", notes=b"y"), "is a zip archive of a/weights, notes: unpack it"),
    "npz": (lambda: zipped(**{"w.npy": b"x"}), r"is an archive of numpy \(.npz\): convert its tensors"),
    "npy": (lambda: b"\x93NUMPY\x01\x00", "is one array of numpy"),
    "Keras 3": (lambda: zipped(**{"config.json": b"{}", "model.weights.h5": b"x"}), r"is a Keras model \(.keras\)"),
    "HDF5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file, as Keras writes it"),
    "TensorFlow Lite": (lambda: b"\x1c\x00\x00\x00TFL3" + bytes(100), "is a TensorFlow Lite model"),
    "GGUF": (lambda: b"GGUF\x03\x00\x00\x00", "is a GGUF file"),
    "TorchScript": (
        lambda: zipped(a__data_pkl=b"x", **{"a__constants.pkl": b"x", "a__code__torch.py": b"x"}),
        r"is a TorchScript archive, which is a program: save its tensors: torch.save\(torch.jit.load",
    ),
    "exported": (lambda: zipped(m__archive_format=b"pt2"), r"is a program of torch.export \(.pt2\)"),
    "picture": (lambda: b"\xff\xd8\xff\xe0" + bytes(50), r"is a picture \(JPEG\)"),
    "cut zip": (lambda: saved()[:700], r"is cut off or damaged: .* \(700 bytes\): download"),
    "cut legacy": (
        lambda: saved(_use_new_zipfile_serialization=False)[:-50],
        "before 1.6 .*but corrupt or cut",
    ),
    "cut safetensors": (
        lambda: safetensors_of(STATE)[:-10],
        r"a safetensors file that is cut off after \d+ of \d+ bytes",
    ),
    "cut head": (lambda: safetensors_of(STATE)[:60], "a safetensors file that is cut off after 60 of"),
    "changed zip": (
        lambda: saved().replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"),
        "would run torch._utils._rebuild",
    ),
    "one byte": (lambda: b"\x08", "is of no kind|is text"),
    "noise": (lambda: bytes(range(17, 217)), "is of no kind that holds a state dict: safetensors files and those of"),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_an_error_says_what_the_file_is_and_never_to_run_its_code(kind: str, name: str, tmp_path: Path) -> None:
    content, message = OTHER_KINDS[kind]
    (tmp_path / name).write_bytes(content())
    with pytest.raises(WeightsError, match=message) as failure:
        read_state(tmp_path / name)
    assert "weights_only" not in str(failure.value)
    assert str(failure.value).isprintable()


def test_a_file_without_a_right_to_read_a_pipe_and_no_file_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(WeightsError, match="is a device, a pipe or a socket: give a file"):
        read_state(tmp_path / "pipe.pth")
    with pytest.raises(WeightsError, match="there is no file"):
        read_state(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(WeightsError, match="there is no file"):
        read_state(tmp_path / "file" / "weights.pth")


def test_a_whole_network_of_an_unknown_class_is_called_that(tmp_path: Path) -> None:
    class Unknown(nn.Sequential):
        pass

    Unknown.__qualname__, Unknown.__module__ = "Unknown", "models_unknown"
    module = types.ModuleType("models_unknown")
    module.Unknown = Unknown  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "models_unknown", module)
        torch.save(Unknown(nn.Linear(1, 1)), tmp_path / "f.pt")
    message = r"holds a whole pickled network \(models_unknown.Unknown\).*save its net.state_dict\(\)"
    with pytest.raises(WeightsError, match=message):
        read_state(tmp_path / "f.pt")


def parts(folder: Path, suffix: str) -> Path:
    """A checkpoint in two files and its index, as the Hub has them."""
    index: dict[str, Any] = {"metadata": {"total_size": 232}, "weight_map": {}}
    for number, (name, tensor) in enumerate(STATE.items(), start=1):
        part = folder / f"model-{number:05d}-of-00002{suffix}"
        if suffix == ".bin":
            torch.save({name: tensor}, part)
        else:
            save_file({name: tensor}, part)
        index["weight_map"][name] = part.name
    (folder / f"model{suffix}.index.json").write_text(json.dumps(index))
    return folder / f"model{suffix}.index.json"


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_a_checkpoint_in_parts_is_read_by_its_index_or_its_folder(suffix: str, tmp_path: Path) -> None:
    index = parts(tmp_path, suffix)
    assert same(read_state(index)[0], STATE)
    assert same(read_state(tmp_path)[0], STATE)
    with pytest.raises(WeightsError, match=f"is part 1 of 2 of a checkpoint: give {re.escape(str(index))}"):
        read_state(tmp_path / f"model-00001-of-00002{suffix}")
    (tmp_path / f"model-00002-of-00002{suffix}").unlink()
    with pytest.raises(WeightsError, match="lists 1 files that are not beside it: model-00002-of-00002"):
        read_state(index)


def test_a_digest_is_of_the_content_of_all_parts(tmp_path: Path) -> None:
    index = parts(tmp_path, ".safetensors")
    before = digest(index)
    assert digest(str(tmp_path)) == before  # the folder's one index
    assert digest("torchvision") is None
    part = tmp_path / "model-00002-of-00002.safetensors"
    part.write_bytes(part.read_bytes() + b" ")
    assert digest(index) != before


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"fc.weight": "../secret.safetensors"}, "which is no file beside it"),
        ({"fc.weight": "/etc/passwd"}, "which is no file beside it"),
        ({"fc.weight": 3}, "which is no file beside it"),
        ({"fc.weight": ""}, "lists '', which is no file beside it"),
        ({"fc.weight": "a" * 300}, "lists 1 files that are not beside it"),
        ({}, "lists no tensors"),
        ({"fc.bias": "model-00001-of-00002.safetensors"}, "lacks 1 tensors of model.safetensors.index.json: fc.bias"),
    ],
)
def test_an_index_that_is_wrong_is_refused(weight_map: Any, message: str, tmp_path: Path) -> None:
    index = parts(tmp_path, ".safetensors")
    index.write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(WeightsError, match=message):
        read_state(index)


def test_a_tensor_is_read_from_the_file_that_the_index_names_for_it(tmp_path: Path) -> None:
    index = parts(tmp_path, ".safetensors")
    second = tmp_path / "model-00002-of-00002.safetensors"
    save_file({**AVERAGED, **read_checkpoint_of(second)}, second)  # which has an old copy of the first tensor, too
    assert same(read_state(index)[0], STATE)


def read_checkpoint_of(part: Path) -> dict[str, Tensor]:
    with safe_open(part, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_a_folder_that_is_closed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(folder: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", closed)
    with pytest.raises(WeightsError, match="cannot be read: Permission denied"):
        read_state(tmp_path)


def test_a_large_file_that_begins_as_an_index_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"a": "b" * 100, "weight_map": {}}))
    monkeypatch.setattr(recognition, "LARGEST_INDEX", 50)
    assert kind_of(path).name.startswith("JSON")
    monkeypatch.setattr(recognition, "LARGEST_INDEX", 150)
    assert kind_of(path) == recognition.INDEX


@pytest.mark.parametrize("weights", [b"net.pth", 1, True, [], {}, ("timm",), torch.zeros(2), ...], ids=repr)
def test_what_is_neither_a_name_nor_a_path_is_no_set_of_weights(weights: Any) -> None:
    with pytest.raises(archzoo.BadOption, match="weights must be the name of a set or the path of a file, not"):
        archzoo.build("lenet5", weights=weights)


def test_a_name_that_is_too_long_for_a_file_is_none() -> None:
    for name in ("a" * 300, "timm:" + "x" * 10_000):
        with pytest.raises(archzoo.BadOption, match="lenet5 has no weights") as error:
            archzoo.build("lenet5", weights=name)
        assert len(str(error.value)) < 200
    with pytest.raises(archzoo.UnknownName):
        archzoo.same("lenet5", "a" * 300)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((".metadata", "__0_0.distcp"), "is a checkpoint of torch.distributed: python -m"),
        (("data.pkl", "version"), "is a file of torch.save that was unpacked: download it again"),
        (("saved_model.pb",), "is a SavedModel of TensorFlow"),
        (("a.pth", "b.pth"), "is a folder: give the file in it; it has a.pth, b.pth"),
        ((), "is a folder: give the file in it$"),
    ],
)
def test_a_folder_that_holds_no_single_checkpoint_is_named(
    files: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(WeightsError, match=message):
        read_state(tmp_path)


def test_kinds_are_told_without_reading_the_tensors(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(saved())
    assert kind_of(tmp_path / "f").readable
    (tmp_path / "g").write_bytes(LFS)
    assert not kind_of(tmp_path / "g").readable


def test_the_folder_and_the_checkpoints_of_a_run_are_read(tmp_path: Path) -> None:
    net = archzoo.build("lenet5_textbook")
    save(net, tmp_path / "net.safetensors", "lenet5_textbook")
    torch.save({"net": net.state_dict(), "averaged": None, "best": None, "snapshots": []}, tmp_path / "checkpoint.pt")
    for path in (tmp_path, tmp_path / "checkpoint.pt"):
        assert same(archzoo.build("lenet5_textbook", weights=path).state_dict(), net.state_dict())
    other = archzoo.build("lenet5_textbook")
    assert initialize_from(other, tmp_path / "checkpoint.pt")
    assert same(other.state_dict(), net.state_dict())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_written_file_has_the_mode_of_the_umask(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    before = os.umask(0o027)
    try:
        save(archzoo.build("lenet5_textbook"), path, "lenet5_textbook")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)  # what the user has chosen stays
        save(archzoo.build("lenet5_textbook"), path, "lenet5_textbook")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


class Wrapped(nn.Module):
    """What Lightning and others put around a network."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.model = net


def compiled(net: nn.Module) -> nn.Module:
    wrapped: Any = torch.compile(net, backend="eager")
    assert isinstance(wrapped, nn.Module)
    return wrapped


COMPILED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "compiled": compiled,
    "DataParallel of compiled": lambda net: nn.DataParallel(compiled(net)),
}
WRAPPED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "DataParallel": nn.DataParallel,
    "AveragedModel": torch.optim.swa_utils.AveragedModel,
    "a module of the user's": Wrapped,
}


# The import of the compiler takes seconds.
EVERY_WRAPPER = {**WRAPPED, **COMPILED} if os.environ.get("EVERY_NET") else WRAPPED


@pytest.mark.parametrize("wrapper", EVERY_WRAPPER)
def test_a_wrapped_network_is_saved_as_the_network_inside(wrapper: str, tmp_path: Path) -> None:
    net = archzoo.build("lenet5_textbook")
    save(EVERY_WRAPPER[wrapper](net), tmp_path / "net.safetensors", "lenet5_textbook")
    assert same(archzoo.load(tmp_path / "net.safetensors").state_dict(), net.state_dict())


def test_a_network_with_more_than_the_wrapped_one_is_refused(tmp_path: Path) -> None:
    wrapped = Wrapped(archzoo.build("lenet5_textbook"))
    wrapped.loss = nn.Linear(2, 2)
    with pytest.raises(WeightsError, match="this is no lenet5_textbook with these options: loss.bias, loss.weight"):
        save(wrapped, tmp_path / "net.safetensors", "lenet5_textbook")
