"""Heads, frozen parts, rates by layer, maps by name, and features of pictures."""

import copy
import itertools
import json
import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch import nn

import archzoo
from archzoo.errors import UnknownPart
from archzoo.transfer.reuse import (
    extract_features,
    feature_maps,
    freeze,
    frozen,
    new_head,
    parameter_groups,
    read_picture,
    thaw,
)
from tests.networks import image_size

HEADS = [name for name in archzoo.names() if name != "lenet5" and not name.endswith(("1202", "1001", "_160_16"))]


@pytest.mark.parametrize("name", HEADS)
def test_a_new_head_tells_so_many_classes_and_nothing_else_is_new(name: str) -> None:
    net = archzoo.build(name, device="meta").eval()
    before = net.state_dict()
    replaced = new_head(net, 7)
    assert net(torch.empty(2, *image_size(name), device="meta")).shape == (2, 7)
    after = net.state_dict()
    changed = {part for part in after if after[part].shape != before[part].shape}
    assert changed == {
        f"{part}.{kind}" for part in replaced for kind in ("weight", "bias") if f"{part}.{kind}" in after
    }


def test_every_head_of_googlenet_is_replaced() -> None:
    net = archzoo.build("googlenet", auxiliary=True, device="meta")
    assert set(new_head(net, 5)) == {f"classifier.{part}" for part in ("linear", "aux_4a.linear", "aux_4d.linear")}


def test_a_new_head_is_drawn_as_asked_where_the_old_one_stood() -> None:
    net = archzoo.build("resnet20").double()
    new_head(net, 3, initialize=lambda layer: nn.init.constant_(layer.weight, 2.0))  # type: ignore[arg-type, union-attr]
    head = net.get_submodule("classifier.fc")
    assert isinstance(head, nn.Linear)
    assert head.weight.dtype == torch.float64
    assert (head.weight == 2).all()


def test_distances_to_fixed_codes_take_no_new_head() -> None:
    with pytest.raises(ValueError, match="ends in RadialBasis, not in a linear layer"):
        new_head(archzoo.build("lenet5"), 7)
    with pytest.raises(ValueError, match="classes must be at least 1, not 0"):
        new_head(archzoo.build("resnet20"), 0)


def test_frozen_parts_stay_as_they_are_through_training() -> None:
    net = archzoo.build("densenet_bc", depth=22, k=8)
    count = freeze(net, "features")
    assert count == sum(parameter.numel() for parameter in net.features.parameters())
    before = copy.deepcopy(net.state_dict())
    net.train()
    optimizer = torch.optim.SGD([one for one in net.parameters() if one.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.randn(4, 3, 32, 32)).sum().backward()
        optimizer.step()
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.fc.weight", "classifier.fc.bias"}


def test_a_frozen_network_survives_copies_and_pickles_and_thaws() -> None:
    net = archzoo.build("resnet20")
    kinds = [type(module) for module in net.modules()]
    freeze(net, "features.conv1", "features.bn1")
    again = pickle.loads(pickle.dumps(copy.deepcopy(net))).train()
    assert not again.get_submodule("features.bn1").training
    assert again.get_submodule("features.conv2_x.block1.layers.bn1").training
    assert again.state_dict().keys() == net.state_dict().keys()
    assert thaw(net.train()) == 3 * 16 * 9 + 32
    assert [type(module) for module in net.modules()] == kinds
    assert all(module.training for module in net.modules())
    assert freeze(net) == sum(parameter.numel() for parameter in net.parameters())


def test_parts_are_frozen_for_a_while_and_then_as_they_were() -> None:
    net = archzoo.build("resnet20").train()
    freeze(net, "features.conv1", "features.bn1")
    learning = {name: parameter.requires_grad for name, parameter in net.named_parameters()}
    kinds = [type(module) for module in net.modules()]
    modes = [module.training for module in net.modules()]
    with frozen(net, "features"):
        assert not any(parameter.requires_grad for parameter in net.features.parameters())
        norms = [module for module in net.train().features.modules() if isinstance(module, nn.BatchNorm2d)]
        assert norms
        assert not any(norm.training for norm in norms)
    assert {name: parameter.requires_grad for name, parameter in net.named_parameters()} == learning
    assert [type(module) for module in net.modules()] == kinds
    assert [module.training for module in net.train().modules()] == modes


def test_an_unknown_part_is_refused_with_near_ones_and_nothing_is_frozen() -> None:
    net = archzoo.build("resnet20")
    with pytest.raises(UnknownPart, match=r"no part 'features.conv2_y': did you mean 'features.conv2_x'"):
        freeze(net, "features.conv1", "features.conv2_y")
    assert all(parameter.requires_grad for parameter in net.parameters())


@pytest.mark.parametrize("name", ["resnet20", "vgg_a", "densenet121", "googlenet", "fractalnet20", "squeezenet1_1"])
def test_groups_hold_every_parameter_once_and_rates_fall_towards_the_input(name: str) -> None:
    net = archzoo.build(name, device="meta")
    groups = parameter_groups(net, 0.1, 0.5)
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped)) == len(list(net.parameters()))
    rates = [group["lr"] for group in groups]
    assert rates == sorted(rates)
    assert rates[-1] == 0.1
    assert [after / before for before, after in itertools.pairwise(rates)] == [2.0] * (len(rates) - 1)
    torch.optim.SGD(groups)


def test_groups_leave_out_what_is_frozen() -> None:
    net = archzoo.build("resnet20")
    freeze(net, "features")
    assert [group["name"] for group in parameter_groups(net, 0.1)] == ["classifier"]
    with pytest.raises(ValueError, match="rate must be positive"):
        parameter_groups(net, 0.0)


def test_maps_come_by_name_as_the_parts_returned_them() -> None:
    net = archzoo.build("resnet20").eval()
    images = torch.randn(2, 3, 32, 32)
    maps = feature_maps(net, images, ["features.bn1", "features.conv3_x", "classifier.pool"])
    expected = net.features[1](net.features[0](images))  # type: ignore[index, operator]
    assert torch.equal(maps["features.bn1"], expected)  # although the ReLU behind it writes in place
    assert maps["features.conv3_x"].shape == (2, 32, 16, 16)
    assert torch.equal(maps["classifier.pool"].flatten(1), net.features(images).mean((2, 3)))
    assert not any(module._forward_hooks for module in net.modules())
    with pytest.raises(UnknownPart):
        feature_maps(net, images, ["nothing"])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "inner").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpg", "inner/c.png")):
        Image.new("RGB", (40 + number, 50), (60 * number, 100, 200)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3}


def test_features_of_a_folder_are_those_of_its_pictures(pictures: Path, tmp_path: Path) -> None:
    net = archzoo.build("resnet20").train()
    target = tmp_path / "features.safetensors"
    kept = extract_features(net, pictures, target, size=(3, 32, 32), batch=2, **HALF)  # type: ignore[arg-type]
    assert [path.name for path in kept] == ["a.png", "b.jpg", "c.png"]
    assert net.training
    with safe_open(target, "pt") as file:
        rows = file.get_tensor("features")
        assert json.loads(file.metadata()["files"]) == ["a.png", "b.jpg", "inner/c.png"]
    images = torch.stack([(read_picture(path, (3, 32, 32)) - 0.5) / 0.5 for path in kept])
    with torch.no_grad():
        assert torch.allclose(rows, net.eval().features(images).mean((2, 3)), atol=1e-6)


def test_a_damaged_picture_is_named_or_left_out(pictures: Path, tmp_path: Path) -> None:
    (pictures / "b.jpg").write_bytes((pictures / "b.jpg").read_bytes()[:30])
    net, target = archzoo.build("resnet20"), tmp_path / "features.safetensors"
    with pytest.raises(ValueError, match=r"b\.jpg is damaged, or no picture: .*damaged='skip' leaves it out"):
        extract_features(net, pictures, target, size=(3, 32, 32), **HALF)  # type: ignore[arg-type]
    assert not target.exists()
    kept = extract_features(net, pictures, target, size=(3, 32, 32), damaged="skip", **HALF)  # type: ignore[arg-type]
    assert [path.name for path in kept] == ["a.png", "c.png"]
    with pytest.raises(ValueError, match="has no pictures"):
        extract_features(net, tmp_path / "empty", target, size=(3, 32, 32), **HALF)  # type: ignore[arg-type]


def test_a_picture_is_read_in_grey_or_color_from_0_to_1(tmp_path: Path) -> None:
    Image.new("RGBA", (9, 5), (255, 0, 255, 255)).save(tmp_path / "p.png")
    color, gray = (read_picture(tmp_path / "p.png", (channels, 4, 4)) for channels in (3, 1))
    assert torch.equal(color, torch.tensor([1.0, 0.0, 1.0]).view(3, 1, 1).expand(3, 4, 4))
    assert gray.shape == (1, 4, 4)
    assert 0 < gray[0, 0, 0] < 1


def test_as_wide_a_layer_before_the_head_stays() -> None:
    net = archzoo.build("vgg_a", num_classes=4096, device="meta").eval()
    assert new_head(net, 7) == ["classifier.fc8"]
    assert net(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 7)


def test_stages_are_those_of_the_paper_whatever_holds_them() -> None:
    def names(name: str) -> list[str]:
        return [group["name"] for group in parameter_groups(archzoo.build(name, device="meta"), 0.1, 0.5)]

    conv = [f"features.conv{number}_x" for number in range(2, 6)]
    assert names("resnet18") == ["features.conv1", *conv, "classifier"]
    assert names("fractalnet20") == [*(f"features.blocks.block{number}" for number in range(1, 6)), "classifier"]


def test_parameters_outside_all_stages_learn_as_the_first() -> None:
    net = archzoo.build("resnet20")
    net.register_parameter("scale", nn.Parameter(torch.ones(1)))
    assert any(one is net.scale for one in parameter_groups(net, 0.1, 0.5)[0]["params"])
    with pytest.raises(ValueError, match="rate must be positive"):
        parameter_groups(net, float("nan"))


def test_a_part_without_maps_is_refused() -> None:
    net = archzoo.build("fractalnet", columns=2).eval()
    with pytest.raises(ValueError, match="features.blocks.block1.fractal gave no maps"):
        feature_maps(net, torch.randn(1, 3, 32, 32), ["features.blocks.block1.fractal"])


def test_features_are_refused_before_any_work_where_they_could_not_be_written(pictures: Path, tmp_path: Path) -> None:
    net, size = archzoo.build("resnet20"), (3, 32, 32)
    with pytest.raises(ValueError, match="there is no folder .*none"):
        extract_features(net, pictures, tmp_path / "none" / "f", size=size, **HALF)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batch must be at least 1, not 0"):
        extract_features(net, pictures, tmp_path / "f", size=size, batch=0, **HALF)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 channels take as many of mean and std, not 3 and 3"):
        extract_features(net, pictures, tmp_path / "f", size=(1, 32, 32), **HALF)  # type: ignore[arg-type]


def test_a_header_that_breaks_off_is_named_too(pictures: Path, tmp_path: Path) -> None:
    content = (pictures / "a.png").read_bytes()
    (pictures / "a.png").write_bytes(content[:8] + (5).to_bytes(4, "big") + content[12:])  # a header of 5 bytes
    with pytest.raises(ValueError, match=r"a\.png is damaged, or no picture"):
        extract_features(
            archzoo.build("resnet20"),
            pictures,
            tmp_path / "f",
            size=(3, 32, 32),
            **HALF,  # type: ignore[arg-type]
        )


def test_every_part_is_left_in_its_own_mode(pictures: Path, tmp_path: Path) -> None:
    net = archzoo.build("resnet20").train()
    net.classifier.eval()
    extract_features(net, pictures, tmp_path / "f", size=(3, 32, 32), **HALF)  # type: ignore[arg-type]
    assert net.features.training
    assert not net.classifier.training
