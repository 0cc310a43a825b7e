"""Grading: each deviation of an implementation is named, and a right one passes, whatever its code looks like."""

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

import archzoo
from archzoo.comparison import of_entry
from archzoo.errors import ComparisonError, UnknownName
from archzoo.grading import Check, Grade, Limits, _judging, _processes, grade, grade_module
from tests.networks import EVERY_NET, NETS, SHALLOW, fewer_units
from tests.shell import Shell


class Block(nn.Module):
    """A student's basic block of ResNet-20, and ``deviation`` of many public implementations."""

    def __init__(self, inputs: int, outputs: int, stride: int, deviation: str) -> None:
        super().__init__()
        moved, bias = deviation == "moved stride", deviation == "bias"
        self.deviation, self.stride, self.more = deviation, stride, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1 if moved else stride, padding=1, bias=bias)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride if moved else 1, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm2d(outputs, eps=1e-3 if deviation == "eps" else 1e-5)
        if deviation == "projection" and stride > 1:
            self.project = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x)
        out = self.bn1(F.relu(out)) if self.deviation == "order" else F.relu(self.bn1(out))
        out = self.bn2(self.conv2(out))
        if self.stride > 1:
            if self.deviation == "projection":
                x = self.project(x)
            elif self.deviation == "average pooling":
                x = F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, 0, self.more))
            elif self.deviation == "zeros on both sides":
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))
            else:
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.more))
        if self.deviation == "no shortcut":
            return F.relu(out)
        out = out + x
        return out if self.deviation == "no last ReLU" else F.relu(out)


class Student(nn.Module):
    """ResNet of 6n + 2 layers in another style than ours: one list of blocks, functions for what has no weights."""

    def __init__(self, deviation: str = "", n: int = 1) -> None:
        super().__init__()
        self.deviation = deviation
        self.first = nn.Conv2d(3, 16, 3, padding=0 if deviation == "padding" else 1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        last = 48 if deviation == "width" else 64
        sizes = (
            [(16, 16, 1)] * n + [(16, 32, 2)] + [(32, 32, 1)] * (n - 1) + [(32, last, 2)] + [(last, last, 1)] * (n - 1)
        )
        if deviation == "depth":
            sizes.pop(0)
        self.blocks = nn.ModuleList(Block(*size, deviation) for size in sizes)
        self.out = nn.Linear(last, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.norm(self.first(x))) if self.deviation == "ReLU6" else F.relu(self.norm(self.first(x)))
        if self.deviation == "pooled stem":
            x = F.max_pool2d(x, 3, 1, 1)
        for block in self.blocks:
            x = block(x)
        x = F.adaptive_max_pool2d(x, 1) if self.deviation == "max pooling" else x.mean((2, 3), keepdim=True)
        x = x.flatten(1)
        if self.deviation == "dropout":
            x = F.dropout(x, 0.5, self.training)
        x = self.out(x)
        return x.softmax(1) if self.deviation == "softmax" else x


# What the grade must say of each, derived from the code above: the reason, where, and words of the sentence.
DEVIATIONS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "moved stride": ("stride", "blocks.1.conv1", ("stride 2 in the paper's network, and 1", "blocks.1.conv2")),
    "bias": ("bias", "blocks.0.conv1", ("no bias in the paper's network, and one in yours",)),
    "eps": ("eps", "blocks.0.bn2", ("1e-05 in the paper's network, and 0.001 in yours",)),
    "projection": ("", "blocks.1.project", ("subsampling", "convolution")),
    "average pooling": ("", "blocks.1", ("subsampling", "average pooling")),
    "no shortcut": ("missing layer", "blocks.0", ("addition",)),
    "no last ReLU": ("missing layer", "blocks", ("ReLU",)),
    "order": ("order", "blocks.0", ("batch normalization", "ReLU")),
    "padding": ("padding", "first", ("padding 1 in the paper's network, and 0 in yours",)),
    "width": ("width", "blocks.2.conv1", ("64", "48")),
    "depth": ("", "blocks", ()),
    "ReLU6": ("activation", "", ("ReLU",)),
    "pooled stem": ("extra layer", "", ("max pooling",)),
    "max pooling": ("pooling", "", ("global average pooling in the paper's network, and global max pooling in yours",)),
    "dropout": ("dropout", "", ("dropout",)),
    "softmax": ("extra layer", "", ("softmax",)),
}


def function_check(grade: Grade) -> Check:
    return grade.checks[-1]


@pytest.mark.slow
@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_a_deviation_is_named(deviation: str) -> None:
    reason, where, words = DEVIATIONS[deviation]
    result = grade_module(Student(deviation), "resnet_cifar", depth=8)
    check = function_check(result)
    assert not check.passed
    assert not result.passed
    assert check.text.startswith(reason)
    for word in (where, *words):
        assert word in check.text, check.text


@pytest.mark.parametrize("deviation", ["", "zeros on both sides"])
def test_a_right_network_passes_in_any_style(deviation: str) -> None:
    """Zeros before and behind the maps, as in a much-used implementation, are another order of channels alone."""
    result = grade_module(Student(deviation, n=3), "resnet20")
    assert result.passed
    assert result.points == result.possible
    assert function_check(result).text.startswith("equal up to a permutation" if deviation else "equal")
    assert {"params 0.27M, Table 6", "depth 20, Table 6"} <= {check.name for check in result.checks}


OURS = [
    "lenet5",
    "resnet20",
    "shufflenet_v2_x0_5",
    "fractalnet_5_16",
    "densenet_c",
    "mobilenet_v2_x0_35",
    "condensenet50",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETS if name in SHALLOW] if EVERY_NET else OURS)
def test_there_is_no_false_alarm_on_ours(name: str) -> None:
    result = grade_module(of_entry(archzoo.find(name), {}, name).module, name)
    assert result.passed, str(result)
    assert result.notes == ("layers of archzoo are in it: they are not written by hand",)


# An implementation with another option of ours, and what the grade must say of it.
OPTIONS: dict[str, tuple[str, dict[str, Any], str, tuple[str, ...]]] = {
    "symmetric padding": (
        *("mobilenet_v2", {"padding": "symmetric"}, "padding"),
        ("padded by (0, 1, 0, 1) (left, right, top, bottom) before it in the paper's network", "1 of its own in yours"),
    ),
    "ReLU6": (
        *("mobilenet_v1_x0_25", {"activation": "relu6"}, "activation"),
        ("ReLU in the paper's network, and ReLU6 in yours",),
    ),
    "padded pooling": ("se_resnet50", {"pool": "padded"}, "padding", ("0 in the paper's network, and 1 in yours",)),
    "units of SE": (
        *("se_resnet50", {"reduction": 8}, "width"),
        ("16 channels in the paper's network, and 32 in yours",),  # of 256
    ),
    "factor of residuals": (
        *("inception_resnet_v1", {"residual_scales": (0.1, 0.1, 0.2)}, "factor"),
        ("0.17 in the paper's network, and 0.1 in yours",),
    ),
    "scales": ("inception_v4", {"bn_scale": True}, "weights", ("weight",)),
    "counted padding": (
        *("inception_v3", {"count_include_pad": True}, "count include pad"),
        ("False in the paper's network, and True in yours",),
    ),
    "eps": ("xception", {"bn_eps": 1e-5}, "eps", ("0.001 in the paper's network, and 1e-05 in yours",)),
    "no shuffle": (
        "shufflenet_v1_g3_x0_25",
        {"shuffle": "none"},
        "channel order",
        ("the same channels in another order",),
    ),
    "groups": ("condensenet50", {"g": 2, "c": 2}, "groups", ("4 groups in the paper's network, and 2 in yours",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("deviation", OPTIONS)
def test_a_deviation_of_newer_networks_is_named(deviation: str) -> None:
    name, options, reason, words = OPTIONS[deviation]
    entry = archzoo.find(name)
    with fewer_units():
        ours, theirs = (of_entry(entry, given, name).module for given in ({}, options))
    size = (3, 75, 75) if "ception" in name else (3, 64, 64)
    check = _judging._function(theirs, ours, size, name)
    assert not check.passed
    assert check.text.startswith(f"{reason} at your ")
    for word in words:
        assert word in check.text, check.text


def test_the_missing_end_of_a_preactivated_network_is_named() -> None:
    """Public pre-activation ResNets leave out the last BN-ReLU."""
    net = archzoo.build("preact_resnet", depth=11, device="meta")
    del net.features.bn, net.features.relu
    check = function_check(grade_module(net, "preact_resnet", depth=11))
    assert check.text.startswith("missing layer")
    assert "only the paper's network has batch normalization" in check.text


def test_counts_say_how_far_off_they_are() -> None:
    checks = {check.name: check for check in grade_module(Student("bias", n=3), "resnet20").checks}
    assert checks["parameters"].text == "270,394, 672 too many"  # a bias for each map of 6 convolutions a stage
    assert checks["multiply-adds"].passed


def test_options_are_those_of_the_network() -> None:
    wider = Student()
    wider.out = nn.Linear(64, 100)
    assert grade_module(wider, "resnet_cifar", depth=8, num_classes=100).passed
    assert not grade_module(wider, "resnet_cifar", depth=8).passed
    with pytest.raises(UnknownName):
        grade_module(wider, "resnet21")


def test_a_network_that_does_not_run_gets_no_points() -> None:
    result = grade_module(nn.Linear(3, 4), "resnet20")
    assert [check.passed for check in result.checks] == [False]
    assert result.points == 0


def test_a_grade_is_written_in_gradescopes_form() -> None:
    result = grade_module(Student("bias"), "resnet_cifar", depth=8)
    written = json.loads(result.as_gradescope())
    assert written["score"] == result.points
    assert {frozenset(test) for test in written["tests"]} == {
        frozenset(("name", "score", "max_score", "status", "output"))
    }
    assert {test["status"] for test in written["tests"]} == {"passed", "failed"}
    assert sum(test["score"] for test in written["tests"]) == result.points
    assert Grade.from_dict(json.loads(json.dumps(result.as_dict()))) == result


def written(folder: Path, code: str) -> Path:
    file = folder / "net.py"
    file.write_text(textwrap.dedent(code))
    return file


RIGHT = """
    from torch import nn

    class Net(nn.Sequential):
        def __init__(self):
            print("building")
            first = [nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)]
            last = [nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
            super().__init__(*first, nn.Flatten(), *last)
"""


@pytest.mark.slow
def test_a_file_is_graded_in_a_process_of_its_own(tmp_path: Path, shell: Shell) -> None:
    file = written(tmp_path, RIGHT)
    code, out, err = shell("grade", f"{file}:Net", "lenet5_textbook", "--format", "gradescope")
    assert code == 0
    assert json.loads(out)["tests"][-1]["output"] == "equal, with the weights carried over"
    assert f"runs the code of {file}, and Net()" in err


# What a process may do in place of an answer, and what the grade says of it.
ENDS = {
    "import os; os.write(1, b'Bus error'); os._exit(3)": "with code 3, before it could be graded: Bus error",
    "import time; time.sleep(60)": "it took more than 0.5 seconds, and was stopped",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": "its process was killed by SIGKILL",
    'import os, sys; os.write(int(sys.argv[1]), b\'{"network": "x", "checks": [], "notes": []}\')': "with code 0",
    "import os, sys; [os.write(int(sys.argv[1]), b'x' * 65536) for _ in range(1000)]": "it ",
}


@pytest.mark.slow
@pytest.mark.parametrize("code", ENDS)
def test_a_process_without_an_answer_ends_in_a_message(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_processes, "START", code)
    limits = Limits(seconds=0.5 if "sleep" in code else 60)
    (check,) = grade(written(tmp_path, RIGHT), "Net", "lenet5_textbook", limits).checks
    assert check.name == "net.py runs"
    assert not check.passed
    assert ENDS[code] in check.text


@pytest.mark.slow
@pytest.mark.skipif(not EVERY_NET, reason="each imports torch in a process of its own")
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os._exit(0)", "with code 0, before it could be graded"),
        ("while True: pass", "it took more than 30 seconds, and was stopped"),
        ("import torch\ndef Net():\n    kept = []\n    while True: kept.append(torch.ones(1 << 26))", "memory"),
        ("import sys; sys.setrecursionlimit(10**9)\ndef Net(n=0): return Net(n + 1)", "it "),
    ],
)
def test_a_hostile_file_ends_in_a_message(code: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(code)
    result = grade(file, "Net", "lenet5_textbook", Limits(30, 4))
    assert not result.passed
    assert said in result.checks[0].text


@pytest.mark.parametrize(
    ("code", "attribute", "said"),
    [
        ("1 / 0", "Net", "raised ZeroDivisionError"),
        ("class Net(:", "Net", "raised SyntaxError"),
        ("raise SystemExit(3)", "Net", "raised SystemExit"),
        ("def Net(): raise SystemExit(3)", "Net", "SystemExit"),
        ("Net = 3", "Net", "has no Net"),
        ("def Net(): return 3", "Net", "makes a int, not a torch.nn.Module"),
        ("def Net(): return Net()", "Net", "RecursionError"),
        ("def Net(): bytearray(1 << 60)", "Net", "MemoryError"),
    ],
)
def test_a_file_that_fails_gets_a_grade_that_says_so(code: str, attribute: str, said: str, tmp_path: Path) -> None:
    """In this process: what the other one does with a request."""
    from archzoo.grading._worker import _grade

    file = written(tmp_path, code)
    request = {"file": str(file), "attribute": attribute, "name": "lenet5_textbook", "options": {}}
    (check,) = _grade(request).checks
    assert not check.passed
    assert said in check.text
    assert str(tmp_path) not in check.text


def test_a_request_that_is_wrong_is_refused_before_anything_runs(tmp_path: Path, shell: Shell) -> None:
    with pytest.raises(ComparisonError, match="there is no file"):
        grade(tmp_path / "net.py", "Net", "resnet20")
    file = written(tmp_path, RIGHT)
    with pytest.raises(UnknownName):
        grade(file, "Net", "resnet21")
    assert shell("grade", str(file), "resnet20")[0] == 2
