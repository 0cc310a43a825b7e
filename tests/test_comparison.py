"""Whether two networks are the same function. The verdicts are known by hand, or by the life of every channel."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archzoo
from archzoo.comparison import compare
from archzoo.errors import ArchzooError, ComparisonError, WeightsError
from archzoo.models import shufflenet_v2
from archzoo.weights import save
from archzoo.weights._libraries import names_in
from tests.networks import EVERY_NET
from tests.shell import Shell
from tests.sources.preactivated import torchdistill_wide

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from mutations.joins import lives
from mutations.networks import NETWORKS
from mutations.trying import outcomes

SIZE = (3, 8, 8)


def of(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def conv(inputs: int = 3, outputs: int = 4, kernel: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, **{"padding": kernel // 2, **options})


def bn(maps: int = 4, **options: Any) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(maps, **options)


def usual(**options: Any) -> nn.Sequential:
    return of(conv(**options), bn(), nn.ReLU(), nn.MaxPool2d(2), conv(4, 4), nn.Dropout(0.5))


# The change, and the word that names it.
CHANGES: dict[str, tuple[nn.Module, nn.Module, str]] = {
    "stride": (of(conv(stride=2), conv(4)), of(conv(), conv(4)), "stride"),
    "stride moved": (of(conv(stride=2), conv(4, 4)), of(conv(), conv(4, 4, stride=2)), "stride"),
    "padding": (of(conv()), of(conv(padding=2)), "padding"),
    "padding before": (of(nn.ZeroPad2d((0, 1, 0, 1)), conv(padding=0, stride=2)), of(conv(stride=2)), "padding"),
    "padding inside": (of(conv(), nn.MaxPool2d(3, 2, 1)), of(conv(), nn.ZeroPad2d(1), nn.MaxPool2d(3, 2)), "padding"),
    "dilation": (of(conv()), of(conv(dilation=2, padding=2)), "padding"),
    "kernel": (of(conv()), of(conv(kernel=5)), "kernel size"),
    "groups": (of(conv(), conv(4, 4)), of(conv(), conv(4, 4, groups=2)), "groups"),
    "depthwise": (of(conv(), conv(4, 4)), of(conv(), conv(4, 4, groups=4)), "groups"),
    "width": (of(conv(), conv(4, 2)), of(conv(outputs=6), conv(6, 2)), "width"),
    "bias": (of(conv(), bn()), of(conv(bias=False), bn()), "bias"),
    "eps": (of(conv(), bn()), of(conv(), bn(eps=1e-4)), "eps"),
    "momentum": (of(conv(), bn()), of(conv(), bn(momentum=0.2)), "momentum"),
    "affine": (of(conv(), bn()), of(conv(), bn(affine=False)), "weights"),
    "activation": (of(conv(), nn.ReLU()), of(conv(), nn.ReLU6()), "activation"),
    "pooling": (of(conv(), nn.MaxPool2d(2)), of(conv(), nn.AvgPool2d(2)), "pooling"),
    "global pooling": (of(conv(), nn.AdaptiveAvgPool2d(1)), of(conv(), nn.AdaptiveMaxPool2d(1)), "pooling"),
    "ceil mode": (of(conv(), nn.MaxPool2d(3, 2)), of(conv(), nn.MaxPool2d(3, 2, ceil_mode=True)), "ceil mode"),
    "order": (of(conv(), bn(), nn.ReLU()), of(conv(), nn.ReLU(), bn()), "order"),
    # With scales above zero alone these two would be the same.
    "norm and pooling": (of(conv(), bn(), nn.MaxPool2d(2)), of(conv(), nn.MaxPool2d(2), bn()), "order"),
    "missing": (of(conv(), bn(), nn.ReLU()), of(conv(), nn.ReLU()), "missing layer"),
    "last missing": (of(conv(), bn()), of(conv()), "missing layer"),
    "extra": (of(conv(), nn.ReLU()), of(conv(), bn(), nn.ReLU()), "extra layer"),
    "extra of another eps": (of(conv(), bn()), of(conv(), bn(eps=1e-3), bn()), "extra layer"),
    "dropout rate": (usual(), of(usual()[:-1], nn.Dropout(0.4)), "dropout rate"),
    "dropout missing": (usual(), usual()[:-1], "dropout"),
    "outputs": (of(conv(), nn.Flatten()), of(conv()), "extra layer"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_named(change: str) -> None:
    first, second, reason = CHANGES[change]
    comparison = compare(first, second, SIZE)
    assert comparison.verdict == "different"
    assert comparison.difference is not None
    if change != "outputs":
        assert comparison.difference.reason == reason


class Clamped(nn.Module):
    """A bound above, and one below if there is any."""

    def __init__(self, low: float | None) -> None:
        super().__init__()
        self.low = low

    def forward(self, maps: Tensor) -> Tensor:
        return maps.clamp(self.low, 6)


def test_a_bound_of_zero_is_no_missing_bound() -> None:
    comparison = compare(of(conv(), Clamped(0)), of(conv(), Clamped(None)), SIZE)
    assert comparison.verdict == "different"
    assert str(comparison.difference).startswith("min at 1")


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = conv(3, 3)

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.first(self.first(maps))
        return out


def test_one_layer_in_two_places_is_not_two_layers() -> None:
    two = of(conv(3, 3), conv(3, 3))
    for first, second in ((Shared(), two), (two, Shared())):
        comparison = compare(first, second, SIZE)
        assert comparison.difference is not None
        assert comparison.difference.reason == "sharing"
    assert compare(Shared(), Shared(), SIZE).verdict == "equal"


class Written(nn.Module):
    """``usual`` in other words."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.norm, self.begin = conv(4, 4), bn(), conv()

    def forward(self, maps: Tensor) -> Tensor:
        maps = F.max_pool2d(self.norm(self.begin(maps)).clamp(min=0), (2, 2), stride=2)
        return F.dropout(self.last(maps), 0.5, self.training)


def test_names_and_code_do_not_matter() -> None:
    comparison = compare(usual(), Written(), SIZE)
    assert comparison.verdict == "equal"
    assert comparison.notes == ()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (of(conv(), nn.ReLU(), nn.MaxPool2d(2)), of(conv(), nn.MaxPool2d(2), nn.ReLU())),
        (of(conv(), nn.AvgPool2d(8), nn.Flatten()), of(conv(), nn.AdaptiveAvgPool2d(1), nn.Flatten())),
        (of(conv(), nn.MaxPool2d(2)), of(conv(), nn.MaxPool2d(2, ceil_mode=True))),
        (of(nn.Flatten(), nn.Linear(192, 5)), of(nn.Conv2d(3, 5, 8), nn.Flatten())),
    ],
)
def test_what_is_the_same_for_this_size_is_said_to_be_that(first: nn.Module, second: nn.Module) -> None:
    comparison = compare(first, second, SIZE)
    assert comparison.verdict == "equal"
    assert any("for inputs of this size" in note for note in comparison.notes)


def test_a_convolution_in_groups_is_several_on_parts() -> None:
    class Towers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = conv(2, 3), conv(2, 3)

        def forward(self, maps: Tensor) -> Tensor:
            return torch.cat([self.left(maps[:, :2]), self.right(maps[:, 2:])], dim=1)

    assert compare(Towers(), of(conv(4, 6, groups=2)), (4, 8, 8)).verdict == "equal"


class Joined(nn.Module):
    def __init__(self, *, swapped: bool = False) -> None:
        super().__init__()
        self.small, self.large, self.last = conv(kernel=1), conv(outputs=2), conv(6, 5)
        self.swapped = swapped

    def forward(self, maps: Tensor) -> Tensor:
        parts = [self.small(maps), self.large(maps)]
        out: Tensor = self.last(torch.cat(parts[::-1] if self.swapped else parts, dim=1))
        return out


def test_another_order_of_concatenation_is_a_permutation_of_what_the_next_layer_reads() -> None:
    comparison = compare(Joined(), Joined(swapped=True), SIZE)
    assert comparison.verdict == "equal up to a permutation of channels"
    [permutation] = comparison.permutations
    assert (permutation.first, permutation.second) == ("last", "last")
    assert permutation.outputs == (0, 1, 2, 3, 4)
    assert permutation.inputs == (2, 3, 4, 5, 0, 1)


def test_an_activation_may_come_before_or_after_a_concatenation() -> None:
    class Before(Joined):
        def forward(self, maps: Tensor) -> Tensor:
            parts = [F.relu(self.small(maps)), F.relu(self.large(maps))]
            out: Tensor = self.last(torch.cat(parts[::-1] if self.swapped else parts, dim=1))
            return out

    class After(Joined):
        def forward(self, maps: Tensor) -> Tensor:
            out: Tensor = self.last(F.relu(torch.cat([self.small(maps), self.large(maps)], dim=1)))
            return out

    comparison = compare(Before(), After(), SIZE)
    assert (comparison.verdict, comparison.notes) == ("equal", ())
    assert compare(Before(swapped=True), After(), SIZE).verdict == "equal up to a permutation of channels"


def test_a_weight_that_is_computed_from_others_is_carried_with_them() -> None:
    def normalized() -> nn.Module:
        return of(nn.utils.parametrizations.weight_norm(conv()), nn.ReLU(), conv(4, 2))

    assert compare(normalized(), normalized(), SIZE).verdict == "equal"
    assert compare(normalized(), of(conv(), nn.ReLU(), conv(4, 2)), SIZE).verdict == "different"


class Pointwise(nn.Module):
    """A 1x1 convolution, applied as a linear layer to every position, or to the means of the maps."""

    def __init__(self, *, means: bool, linear: bool) -> None:
        super().__init__()
        self.layer, self.means, self.linear = conv(3, 4, 1), means, linear

    def forward(self, maps: Tensor) -> Tensor:
        weight, bias = self.layer.weight, self.layer.bias
        if self.means:
            maps = maps.mean((2, 3), keepdim=True)
        if not self.linear:
            out: Tensor = self.layer(maps)
        elif self.means:
            out = F.linear(maps.flatten(1), weight.flatten(1), bias)[:, :, None, None]
        else:
            out = F.conv2d(maps, weight.squeeze()[:, :, None, None], bias)
        return out


@pytest.mark.parametrize("means", [False, True])
def test_weights_of_a_1x1_convolution_may_be_those_of_a_linear_layer(means: bool) -> None:
    first, second = (Pointwise(means=means, linear=linear) for linear in (False, True))
    assert compare(first, second, SIZE).verdict == "equal"


def test_the_order_of_the_outputs_counts() -> None:
    class Outputs(Joined):
        def forward(self, maps: Tensor) -> Tensor:
            parts = [self.small(maps), self.large(maps)]
            return torch.cat(parts[::-1] if self.swapped else parts, dim=1)

    assert compare(Outputs(), Outputs(swapped=True), SIZE).verdict == "different"


class Centered(nn.Module):
    """A residual network for CIFAR whose shortcuts put half of the zeros in front."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.stem = of(conv(3, 16, bias=False), bn(16))
        self.blocks = nn.ModuleList()
        inputs = 16
        for width in (16, 32, 64):
            for _ in range(blocks):
                stride = 2 if width != inputs else 1
                layers = (conv(inputs, width, stride=stride, bias=False), bn(width), nn.ReLU())
                self.blocks.append(of(*layers, conv(width, width, bias=False), bn(width)))
                inputs = width
        self.linear = nn.Linear(64, 10)

    def forward(self, maps: Tensor) -> Tensor:
        maps = F.relu(self.stem(maps))
        for block in self.blocks:
            out = block(maps)
            if out.shape != maps.shape:
                missing = maps.shape[1] // 2
                maps = F.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, missing, missing))
            out += maps
            maps = F.relu(out)
        pooled = F.avg_pool2d(maps, maps.size(3))
        logits: Tensor = self.linear(pooled.view(pooled.size(0), -1))
        return logits


def test_zeros_on_both_sides_of_a_shortcut_are_a_permutation_of_the_stream() -> None:
    comparison = compare(archzoo.build("resnet20", device="meta"), Centered(3), (3, 32, 32))
    assert comparison.verdict == "equal up to a permutation of channels"
    places = {permutation.first: permutation for permutation in comparison.permutations}
    # 32 channels: 8 zeros, the 16 of before, 8 zeros. 64: 16 zeros, those 32, 16 zeros.
    p32 = (*range(8, 24), *range(8), *range(24, 32))
    p64 = (*(16 + place for place in p32), *range(16), *range(48, 64))
    assert places["features.conv3_x.block1.layers.conv2"].outputs == p32
    assert places["features.conv4_x.block1.layers.conv1"].inputs == p32
    assert places["features.conv4_x.block3.layers.bn2"].outputs == p64
    assert places["classifier.fc"].inputs == p64


def test_a_pooled_shortcut_is_another_function() -> None:
    padded = archzoo.build("resnet20", device="meta")
    pooled = archzoo.build("stochastic_depth", depth=20, survival=1.0, device="meta")
    comparison = compare(padded, pooled, (3, 32, 32))
    assert comparison.difference is not None
    assert comparison.difference.reason == "pooling"
    assert comparison.difference.first == "features.conv3_x.block1.shortcut"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "seed"), [("lenet5", 0), ("lenet5_textbook", 2), *([("*", 0)] if EVERY_NET else [])]
)
def test_no_verdict_on_a_mutant_is_wrong(network: str, seed: int) -> None:
    for label in NETWORKS if network == "*" else [network]:
        for outcome in outcomes(label, 1, seed):
            assert outcome.verdict == outcome.right, (outcome.mutant.kind, label, outcome.mutant.where, outcome.text)


def test_most_mutants_of_a_shuffle_are_told_apart_by_the_life_of_a_channel() -> None:
    """The rule that says which are permutations, by hand: nothing is ever mixed without a shuffle."""
    net = archzoo.build("shufflenet_v2_x0_5", device="meta")
    other = archzoo.build("shufflenet_v2_x0_5", device="meta")
    assert lives(net) == lives(other)
    for unit in other.modules():
        if isinstance(unit, shufflenet_v2.Unit | shufflenet_v2.DownUnit):
            vars(unit)["groups"] = 1
    assert lives(net) != lives(other)


# ---- What is given


def test_a_network_is_left_as_it_is() -> None:
    net = usual().train()
    net[1].eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    compare(net, usual(), SIZE)
    assert [layer.training for layer in net] == [True, False, True, True, True, True]
    assert before.keys() == net.state_dict().keys()
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in before.items())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in net.modules())


def test_what_eval_mode_does_not_use_is_said_not_to_be_compared() -> None:
    first, second = usual(), usual()
    second.register_parameter("unused", nn.Parameter(torch.zeros(3)))
    comparison = compare(first, second, SIZE)
    assert comparison.equal
    assert comparison.notes == ("not compared, for eval mode does not use it in the second: unused",)


def test_constants_are_part_of_the_function() -> None:
    class Scaled(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.layer = conv()
            self.register_buffer("scale", torch.tensor(scale))

        def forward(self, maps: Tensor) -> Tensor:
            return self.layer(maps) * self.scale

    assert compare(Scaled(2.0), Scaled(2.0), SIZE).verdict == "equal"
    comparison = compare(Scaled(2.0), Scaled(3.0), SIZE)
    assert comparison.difference is not None
    assert comparison.difference.reason == "constant"


def test_a_network_that_does_not_run_is_named() -> None:
    with pytest.raises(ComparisonError, match=r"mine does not run on an input of 3x8x8: RuntimeError"):
        compare(usual(), of(conv(5)), SIZE, names=("ours", "mine"))
    with pytest.raises(ComparisonError, match="input_size must be positive integers"):
        compare(usual(), usual(), (3, 0, 8))
    with pytest.raises(ComparisonError, match="no paper gives the input size"):
        archzoo.same(usual(), usual())


def test_a_write_into_a_part_of_a_tensor_is_refused() -> None:
    class Writing(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            maps = maps * 2
            maps[:, :1] += 1
            return maps * 3

    with pytest.raises(ComparisonError, match="in place"):
        compare(Writing(), Writing(), SIZE)


NET = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))
class Relu(Net):
    def __init__(self):
        super().__init__()
        self[1] = nn.ReLU()
"""


def test_files_of_python_are_compared_with_names(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(NET)
    code, out, err = shell("same", "lenet5_textbook", f"{path}:Net")
    assert (code, out) == (0, f"lenet5_textbook and {path}:Net are equal\n")
    assert f"runs the code of {path}, and Net()" in err
    code, out, _ = shell("same", "lenet5_textbook", f"{path}:Relu", "--format", "json")
    verdict = json.loads(out)
    assert (code, verdict["verdict"], verdict["difference"]["reason"]) == (1, "different", "activation")
    assert (verdict["difference"]["first"], verdict["difference"]["second"]) == ("features.f1", "1")
    code, _, err = shell("same", "lenet5_textbook", f"{path}:Nothing")
    assert (code, "its modules are Net, Relu" in err) == (2, True)


def test_files_of_weights_are_compared_by_their_weights(shell: Shell, tmp_path: Path) -> None:
    first, second, again = (tmp_path / f"{name}.safetensors" for name in ("first", "second", "again"))
    for path, seed in ((first, 0), (second, 1), (again, 0)):
        torch.manual_seed(seed)
        save(archzoo.build("lenet5_textbook"), path, "lenet5_textbook")
    assert shell("same", str(first), str(second))[1].endswith("are equal\nnote: their weights differ\n")
    assert shell("same", str(first), str(again))[1].endswith("are equal\nnote: their weights are the same\n")
    assert "their weights" not in shell("same", str(first), "lenet5_textbook")[1]


def test_options_follow_a_name(shell: Shell) -> None:
    code, out, _ = shell("same", "resnet20", "resnet20,option=B")
    assert code == 1
    assert out.startswith("resnet20 and resnet20,option=B are different: ")


@pytest.mark.slow
def test_a_checkpoint_that_can_be_only_one_network_is_read_as_that(tmp_path: Path) -> None:
    """And one that may be several, or another function, is not."""
    net = archzoo.build("resnet20")
    theirs, ours, trap = (tmp_path / f"{name}.pth" for name in ("theirs", "ours", "trap"))
    names = names_in("akamaster", "resnet_cifar")
    torch.save(names.to_theirs(net, net.state_dict()), theirs)
    comparison = archzoo.same("resnet20", theirs)
    assert comparison.verdict == "equal"
    assert comparison.notes == (f"{theirs} is read as resnet20, by its names and shapes",)
    described = tmp_path / "net.safetensors"
    save(net, described, "resnet20")
    assert "their weights are the same" in archzoo.same(str(described), str(theirs)).notes
    torch.save(net.state_dict(), ours)
    with pytest.raises(WeightsError, match=r"the tensors of several \(resnet20, plain20, .*NAME,weights="):
        archzoo.same("resnet20", ours)
    torch.save(torchdistill_wide(2, 1).state_dict(), trap)
    with pytest.raises(WeightsError, match="it has the tensors of wide_resnet, but its projections read the maps"):
        archzoo.same("wide_resnet", trap)
    torch.save({"weight": torch.zeros(3, 3)}, trap)
    with pytest.raises(WeightsError, match="and has the tensors of none here"):
        archzoo.same("resnet20", trap)


MAKERS = """
import sys
from torch import nn
number = 3
def leaves(): sys.exit(1)
def fails(): raise KeyError("weights")
def text(): return "a network"
class Needs(nn.Module):
    def __init__(self, classes): super().__init__()
"""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mine.py", r"mine\.py is Python: add the class or function that makes the network, .*mine\.py:NAME"),
        ("none.py:Net", r"there is no file .*none\.py"),
        ("mine.py:leaves", r"leaves\(\) raised SystemExit: 1"),
        ("mine.py:fails", r"fails\(\) raised KeyError"),
        ("mine.py:text", r"text makes a str, not a torch\.nn\.Module"),
        ("mine.py:number", r"has no number: its modules are Needs"),
        ("mine.py:Needs", r"Needs\(\) raised TypeError: .*classes"),
        ("broken.py:Net", r"broken\.py raised SyntaxError"),
        ("none.safetensors", r"there is no file .*none\.safetensors"),
        ("none.onnx", r"there is no file .*none\.onnx"),
        ("folder/none", r"there is no file .*none"),
        ("empty.pth", r"empty\.pth is empty"),
        ("resnet21", "resnet21"),
    ],
)
def test_what_is_no_network_is_said_to_be_none(source: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MAKERS)
    (tmp_path / "broken.py").write_text("class Net(")
    (tmp_path / "empty.pth").write_text("")
    given = source if source == "resnet21" else str(tmp_path / source)
    with pytest.raises(ArchzooError, match=message):
        archzoo.same("resnet20", given)


def test_the_command_says_the_same_of_what_is_no_network(shell: Shell, tmp_path: Path) -> None:
    for given, message in (
        (str(tmp_path / "none.pth"), "there is no file"),
        ("none.pth", "there is no file none.pth"),
        ("resnet20,weights=akamaster:resnet32", "resnet20 has no weights 'akamaster:resnet32'"),
        ("resnet20,depth=3x", "depth"),
    ):
        code, out, err = shell("same", "resnet20", given)
        assert (code, out) == (2, "")
        assert message in err
        assert "Traceback" not in err


@pytest.mark.slow
def test_networks_of_other_inputs_are_different_and_of_other_sizes_compared_on_one() -> None:
    comparison = archzoo.same("lenet5", "resnet20")
    assert comparison.difference is not None
    assert (
        str(comparison)
        == "lenet5 and resnet20 are different: input at (top): images of 1x32x32 against images of 3x32x32"
    )
    comparison = archzoo.same("vgg_a", "vgg_b")
    assert comparison.verdict == "different"
    comparison = archzoo.same("resnet20", "resnet18")
    sizes = "3x32x32 of resnet20 and 3x224x224 of resnet18"
    assert comparison.notes == (f"compared on the first of the usual sizes, {sizes}",)
    comparison = archzoo.same("densenet_bc", "densenet_bc_100_12")
    assert (comparison.verdict, comparison.notes) == ("equal", ())


def test_another_number_of_classes_is_another_width(shell: Shell) -> None:
    code, out, _ = shell("same", "resnet20", "resnet20,num_classes=100")
    assert (code, out) == (
        1,
        "resnet20 and resnet20,num_classes=100 are different: width at classifier.fc: a linear layer has 10 channels "
        "against 100\n",
    )


class Averaging(nn.Module):
    """Maps that are padded with minus infinity, and pooled."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.layer, self.pool = conv(), pool

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.pool(F.pad(self.layer(maps), (0, 1, 0, 1), value=float("-inf")))
        return out


def test_a_network_that_returns_no_numbers_is_not_the_same() -> None:
    largest, average = Averaging(nn.MaxPool2d(3, 2)), Averaging(nn.AvgPool2d(3, 2))
    comparison = compare(largest, average, SIZE)
    assert comparison.difference is not None
    assert (comparison.verdict, comparison.difference.reason) == ("different", "pooling")
    assert comparison.error is None


class Drawing(nn.Module):
    """Adds random numbers, also in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = conv()

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.layer(maps)
        return out + torch.rand(out.shape, dtype=out.dtype, device=out.device)


class AlwaysDropping(Drawing):
    def forward(self, maps: Tensor) -> Tensor:
        return F.dropout(self.layer(maps), 0.5, training=True)


@pytest.mark.parametrize("network", [Drawing, AlwaysDropping])
def test_a_network_that_draws_random_numbers_in_eval_mode_cannot_be_compared(network: type[nn.Module]) -> None:
    with pytest.raises(ComparisonError, match="returns other values each time, also in eval mode: it draws random"):
        compare(network(), network(), SIZE)
    net = network()
    with pytest.raises(ComparisonError, match="it draws random numbers"):
        compare(net, net, SIZE)


def test_several_inputs_have_a_size_each() -> None:
    class Two(nn.Module):
        def __init__(self, *, swapped: bool = False) -> None:
            super().__init__()
            self.first, self.second, self.swapped = conv(3), conv(1), swapped

        def forward(self, color: Tensor, gray: Tensor) -> Tensor:
            parts = [self.first(color), self.second(gray)]
            return parts[1] - parts[0] if self.swapped else parts[0] - parts[1]

    sizes = [(3, 8, 8), (1, 8, 8)]
    assert compare(Two(), Two(), sizes).verdict == "equal"
    assert compare(Two(), Two(swapped=True), sizes).verdict == "different"
    with pytest.raises(ComparisonError, match="does not run on an input of 3x8x8"):
        compare(Two(), Two(), SIZE)
