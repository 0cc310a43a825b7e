"""What a network says of itself, its backbone, its final layer, and what objects show in terminals and notebooks."""

import copy
import pickle
from collections import Counter
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.claims import params
from archzoo.errors import ArchzooError, BadOption, ProfileError, TransferError
from archzoo.layers import Backbone, Net
from archzoo.models import resnet
from archzoo.models.dsn import without_companions
from archzoo.paper import Paper
from archzoo.registry import Entry
from archzoo.transfer import feature_maps, replace_classifier
from archzoo.weights import save
from tests.networks import CLASSES, EVERY_NET, NETS, build, every_class_of_layer, image_size, on_meta, parametrize
from tests.test_layout import PUBLIC

HOSTILE = "</td><script>alert(1)</script>"


def meta(*shape: int) -> Tensor:
    return torch.empty(*shape, device="meta")


def test_a_profile_takes_the_input_size_of_the_paper() -> None:
    net = archzoo.build("ResNet-18", option="B", device="meta")
    for counted in (archzoo.profile(net), archzoo.profile("resnet18", option="B")):
        assert (counted.model, counted.input_size) == ("resnet18", (3, 224, 224))
        assert counted.params == 11_689_512  # torchvision's table
    assert archzoo.profile("lenet5", in_channels=3).input_size == (3, 32, 32)
    assert archzoo.profile("resnet20", (3, 64, 64)).macs == 4 * (archzoo.profile("resnet20").macs - 640) + 640


def test_a_wrapped_network_is_profiled_at_its_own_size() -> None:
    net = archzoo.build("resnet20")
    for wrapped in (nn.DataParallel(net), torch.optim.swa_utils.AveragedModel(net)):
        assert archzoo.profile(wrapped).input_size == (3, 32, 32)


def test_a_profile_without_a_known_size_says_what_is_missing() -> None:
    with pytest.raises(
        ProfileError, match=r"no paper gives the input size of this Conv2d: give one, as \(3, 224, 224\)"
    ):
        archzoo.profile(nn.Conv2d(3, 4, 3))
    with pytest.raises(ProfileError, match="no paper gives the input size of this Net"):
        archzoo.profile(resnet.resnet_cifar())
    with pytest.raises(BadOption, match="options are for a network that is given by name"):
        archzoo.profile(archzoo.build("resnet20"), depth=32)


def test_the_repr_of_a_profile_is_a_few_lines() -> None:
    counted = archzoo.profile("resnet20")
    lines = repr(counted).splitlines()
    assert lines[0] == "Profile of resnet20, input 3x32x32"
    assert lines[1].split() == ["269,722", "parameters"]  # 0.27M of Table 6
    assert 4 <= len(lines) <= 8
    assert max(map(len, lines)) < 80
    assert "features.conv2_x.block1" in str(counted)


def test_other_results_have_short_reprs_too() -> None:
    from archzoo.profiler import compare, memory

    first, second = (archzoo.build(name, device="meta") for name in ("resnet20", "plain20"))
    for result in (
        memory(archzoo.build("lenet5_textbook"), (1, 32, 32)),
        compare(first, second, (3, 32, 32)),
        archzoo.same("resnet20", "plain20"),
        archzoo.find("resnet20"),
        archzoo.audit("resnet20"),
    ):
        assert len(repr(result)) < 1000


def test_a_network_says_which_it_is() -> None:
    net = archzoo.build("ResNet-20", num_classes=100, in_channels=1, option="A")
    assert (net.name, net.options, net.input_size) == ("resnet20", {"num_classes": 100, "in_channels": 1}, (1, 32, 32))
    assert repr(net).splitlines()[1] == "  resnet20, num_classes=100, in_channels=1, input 1x32x32"
    unnamed = resnet.resnet_cifar()
    assert (unnamed.name, unnamed.options, unnamed.input_size) == ("", {}, None)
    assert repr(unnamed).splitlines()[1] == "  (features): Sequential("


def test_it_says_so_after_copies_pickles_and_loading(tmp_path: Path) -> None:
    net = archzoo.build("resnet20", num_classes=5)
    save(net, tmp_path / "net.safetensors", "resnet20", num_classes=5)
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), archzoo.load(tmp_path / "net.safetensors")]
    copies.append(archzoo.build("resnet20", weights=tmp_path / "net.safetensors"))
    for other in copies:
        assert (other.name, other.options, other.input_size) == ("resnet20", {"num_classes": 5}, (3, 32, 32))
    copies[0].reset_classifier(7)
    assert copies[0].options == {"num_classes": 7}
    assert net.options == {"num_classes": 5}


def test_a_network_without_its_auxiliary_classifiers_says_what_is_left() -> None:
    cut = without_companions(archzoo.build("dsn_companions", num_classes=3, device="meta"))
    assert (cut.name, cut.options, cut.input_size) == ("dsn", {"num_classes": 3}, (3, 32, 32))
    assert archzoo.same(cut, archzoo.build("dsn", num_classes=3, device="meta")).equal


@pytest.mark.slow
@every_class_of_layer
def test_a_network_is_built_again_from_what_it_says(name: str) -> None:
    net = archzoo.build(name, num_classes=4, device="meta")
    again = archzoo.build(net.name, **net.options, device="meta")
    shapes, same = ({part: value.shape for part, value in built.state_dict().items()} for built in (net, again))
    assert shapes == same


@pytest.mark.slow
@parametrize(NETS if EVERY_NET else CLASSES)
def test_without_classes_a_network_returns_what_its_final_layer_reads(name: str) -> None:
    net, whole = build(name, num_classes=0, device="meta").eval(), build(name, device="meta").eval()
    read: list[torch.Size] = []
    final = whole.get_classifier()
    handle = final.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].shape))
    batch = meta(2, *image_size(name))
    whole(batch)
    handle.remove()
    features = net(batch)
    assert features.dim() == 2
    assert features.shape == (2, read[0][1])
    left_out = {part.rpartition(".")[0] for part in whole.state_dict().keys() - net.state_dict().keys()}
    assert left_out == set(whole.reset_classifier(0))  # and those of auxiliary classifiers


def test_a_final_layer_comes_and_goes() -> None:
    net = archzoo.build("vgg_a", num_classes=4096, device="meta").eval()
    assert net.get_classifier() is net.get_submodule("classifier.fc8")
    assert net.reset_classifier(0) == ["classifier.fc8"]
    assert net(meta(2, 3, 224, 224)).shape == (2, 4096)
    assert net.reset_classifier(0) == ["classifier.fc8"]
    assert net.reset_classifier(7) == ["classifier.fc8"]
    assert net(meta(2, 3, 224, 224)).shape == (2, 7)
    squeezed = archzoo.build("squeezenet1_1", num_classes=0).double()
    squeezed.reset_classifier(3, initialize=lambda layer: nn.init.ones_(layer.weight))  # type: ignore[arg-type]
    new = squeezed.get_classifier()
    assert isinstance(new, nn.Conv2d)
    assert (new.weight == 1).all()
    assert new.weight.dtype == torch.float64
    with pytest.raises(TransferError, match="at least 1, or 0 for no final layer, not -1"):
        net.reset_classifier(-1)


def test_auxiliary_classifiers_come_and_go_with_the_main_one() -> None:
    net = archzoo.build("googlenet", auxiliary=True, num_classes=0, device="meta")
    assert isinstance(net.get_classifier(), nn.Identity)
    assert set(replace_classifier(net, 5)) == {
        f"classifier.{part}" for part in ("linear", "aux_4a.linear", "aux_4d.linear")
    }
    assert net.get_classifier() is net.get_submodule("classifier.linear")


def test_codes_are_left_out_and_not_replaced() -> None:
    net = archzoo.build("lenet5", num_classes=0)
    assert net(torch.randn(2, 1, 32, 32)).shape == (2, 84)  # the units of F6
    with pytest.raises(TransferError, match="build the network anew"):
        net.reset_classifier(10)
    with pytest.raises(TransferError, match="ends in RadialBasis"):
        archzoo.build("lenet5").reset_classifier(3)


def test_a_network_without_classes_takes_weights(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    net = archzoo.build("resnet20", num_classes=7).eval()
    save(net, tmp_path / "net.safetensors", "resnet20", num_classes=7)
    headless = archzoo.build("resnet20", weights=tmp_path / "net.safetensors", num_classes=0).eval()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(headless(images), net.forward_features(images).mean((2, 3)))
    assert not recwarn.list
    save(headless, tmp_path / "features.safetensors", "resnet20", num_classes=0)
    assert archzoo.load(tmp_path / "features.safetensors").options == {"num_classes": 0}


@pytest.mark.slow
@parametrize(NETS if EVERY_NET else CLASSES)
def test_a_backbone_returns_the_maps_that_it_says(name: str) -> None:
    net = build(name, device="meta").eval()
    backbone, (channels, height, width) = net.backbone(), image_size(name)
    assert list(backbone.strides) == sorted(set(backbone.strides))
    returned = backbone(meta(2, channels, height, width))
    assert [maps.shape[:2] for maps in returned] == [(2, count) for count in backbone.channels]
    features = net.forward_features(meta(2, channels, height, width))
    assert returned[-1].shape == features.shape
    larger = backbone(meta(2, channels, height + 2**10, width))  # a multiple of every stride
    for stride, maps, more in zip(backbone.strides, returned, larger, strict=True):
        assert (more.shape[2] - maps.shape[2]) * stride == 2**10
    assert dict(backbone.named_parameters()).items() <= dict(net.named_parameters()).items()


# Hand-read from the papers' tables: ResNet-50 (Table 1), VGG-D (Table 1), DenseNet-121 (Table 1), LeNet-5 (Fig. 2).
STAGES = {
    "resnet50": ((64, 256, 512, 1024, 2048), (2, 4, 8, 16, 32)),
    "vgg_d": ((64, 128, 256, 512, 512, 512), (1, 2, 4, 8, 16, 32)),
    "densenet121": ((64, 256, 512, 1024, 1024), (2, 4, 8, 16, 32)),
    "lenet5": ((6, 16, 120), (1, 2, 4)),
    "nin_imagenet": ((96, 256, 384, 1024), (4, 8, 16, 32)),
    "fractalnet_5_16": ((64, 128, 256, 512, 512), (2, 4, 8, 16, 32)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
def test_the_stages_of_a_backbone_are_those_of_the_paper(name: str) -> None:
    backbone = on_meta(name).backbone()
    widths = {"fractalnet_5_16": (16, 32, 64, 128, 128)}.get(name, STAGES[name][0])
    assert (backbone.channels, backbone.strides) == (widths, STAGES[name][1])


def test_a_backbone_computes_the_maps_of_the_network() -> None:
    for name, part in (("resnet20", "features.conv3_x"), ("fractalnet_5_16", "features.blocks.block2")):
        net = archzoo.build(name).eval()
        images = torch.randn(2, 3, 32, 32)
        (maps,) = net.backbone([1])(images)
        assert torch.equal(maps, feature_maps(net, images, [part])[part])
        (last,) = pickle.loads(pickle.dumps(copy.deepcopy(net.backbone([-1]))))(images)
        assert torch.equal(last, net.forward_features(images))


def test_a_backbone_is_no_larger_than_its_last_stage() -> None:
    net = archzoo.build("resnet_cifar", depth=8, device="meta")
    names = {name.split(".")[1] for name in net.backbone((0, 1)).state_dict()}
    assert names == {"conv1", "bn1", "conv2_x", "conv3_x"}
    for wrong in ((3,), (0, 0), (), (-4,), "12", (True,)):
        with pytest.raises(BadOption, match="different indices of the 3 stages"):
            net.backbone(wrong)  # type: ignore[arg-type]


def test_maps_that_the_next_part_overwrites_are_copied() -> None:
    layers = {"conv": nn.Conv2d(3, 4, 3, padding=1), "relu": nn.ReLU(inplace=True)}
    features = nn.Sequential()
    for name, layer in layers.items():
        features.add_module(name, layer)
    features.add_module("down", nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 8, 1, stride=2)))
    features.relu = nn.Tanh()
    backbone = Net(features, nn.Identity()).backbone()
    images = torch.randn(1, 3, 8, 8)
    assert torch.equal(backbone(images)[0], torch.tanh(layers["conv"](images)))
    assert backbone.overwritten == ["relu"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_backbone_is_scripted_and_traced() -> None:
    backbone, images = archzoo.build("densenet_bc", depth=16, k=4).eval().backbone((0, 2)), torch.randn(1, 3, 32, 32)
    for compiled in (torch.jit.script(backbone), torch.fx.symbolic_trace(backbone)):
        for ours, theirs in zip(backbone(images), compiled(images), strict=True):
            assert torch.equal(ours, theirs)
    assert isinstance(backbone, Backbone)


def test_dir_shows_the_public_names() -> None:
    names = {name for name in dir(archzoo) if not name.startswith("__")}
    submodules = {name.split(".")[1] for name in PUBLIC if name.count(".") == 1} - {"cli"}
    assert names == set(archzoo.__all__) | submodules
    with pytest.raises(AttributeError, match="module 'archzoo' has no attribute 'trainer'"):
        archzoo.trainer  # type: ignore[attr-defined]  # noqa: B018


def test_submodules_load_on_attribute_access() -> None:
    """``tests/test_layout.py`` asks a process that has loaded none of them."""
    for name in (name for name in PUBLIC if name.count(".") == 1 and name != "archzoo.cli"):
        assert archzoo.__getattr__(name.split(".")[1]) is import_module(name)
    assert archzoo.models.resnet.plain.__name__ == "plain"
    assert set(dir(archzoo.report)) >= {"diagram", "figures", "page", "tables"}
    with pytest.raises(AttributeError, match="module 'archzoo.papers' has no attribute 'resnet51'"):
        archzoo.papers.resnet51  # noqa: B018


class Texts(HTMLParser):
    """The texts of a fragment, and its tags."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.feed(fragment)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_entries_audits_and_networks_are_shown_in_notebooks() -> None:
    entry = Texts(archzoo.find("resnet20")._repr_html_())
    assert {"resnet20", "Deep Residual Learning for Image Recognition", "0.27M"} <= set(entry.texts)
    audit = archzoo.audit("vgg_d")
    assert isinstance(audit, list)
    shown = Texts(audit._repr_html_())
    verdicts = Counter(claim.verdict for claim in audit)
    counts = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in ("match", "explained", "mismatch"))
    summary = f"{len(audit)} claims: {counts}"
    assert {"138M", "138,357,544", "match", "explained", summary} <= set(shown.texts)
    assert shown.texts.count("match") == verdicts["match"] > 2
    assert Texts(audit[0]._repr_html_()).texts.count("match") == 1
    net = Texts(archzoo.build("resnet20", device="meta")._repr_html_())
    assert {"resnet20", "features.conv2_x", "Sequential(3 x Residual)", "432"} <= set(net.texts)  # 3x3x3x16
    assert any("269,722 parameters" in text and "float32 on meta" in text for text in net.texts)


def test_their_html_escapes_what_others_wrote() -> None:
    paper = Paper(HOSTILE, HOSTILE, 2026, "javascript:alert(1)", models="nowhere")
    entry = Entry("x", paper, (3, 8, 8), "nowhere:x", (params("1M", HOSTILE),), {}, (HOSTILE,))
    audit = [archzoo.auditor.judge(paper, entry, entry.claims[0])]
    net = Net(nn.Sequential(), nn.Sequential())
    net.name, net.options = HOSTILE, {"x": HOSTILE}
    for shown in (entry._repr_html_(), archzoo.auditor.Audit(audit)._repr_html_(), net._repr_html_()):
        assert not Texts(shown).tags & {"script", "img"}
        assert "javascript" not in shown.replace("&lt;", "")  # no link
        assert any(HOSTILE in text for text in Texts(shown).texts)


def test_errors_of_the_registry_stay_errors_of_a_request() -> None:
    with pytest.raises(ArchzooError, match="no network is called 'resnet51'"):
        archzoo.profile("resnet51")
