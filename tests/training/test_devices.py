"""What a recipe can ask for works on an accelerator, and trains as on the CPU: see ``tests/fake_cuda.py``."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archzoo.data import EpochBatches, prepare
from archzoo.layers import Net
from archzoo.models.googlenet import Logits
from archzoo.recipes import (
    CenterCrop,
    Cosine,
    Lambda,
    MultiCrop144,
    Optimizer,
    ParameterGroup,
    Preprocessing,
    Protocol,
    RandomCrop,
    RandomErasing,
    Recipe,
    Regularizer,
    Resize,
    SingleCrop,
    SubtractMean,
    Transform,
)
from archzoo.recipes._preprocessing import PREPROCESSING
from archzoo.recipes._protocols import PROTOCOLS
from archzoo.recipes._regularizers import REGULARIZERS
from archzoo.recipes._transforms import TRANSFORMS
from archzoo.training import RunConfig, evaluate, train
from archzoo.training._logs import no_log
from archzoo.training._optimizer import build_optimizer
from archzoo.training._precision import gpu_kernels
from tests.fake_cuda import CPU, CUDA, WAITS, fake_cuda
from tests.machines import SHORT, Machine, outcome, same_on_both

RECIPES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "averaged weights": {"ema": 0.9},
    "snapshots": {"schedule": Cosine(restarts=2)},
    "the best epoch": {"select": "best"},
    "clipped gradients": {"grad_clip_norm": 0.1},
    "limited filters": {"filter_limit": 0.01},
    "smooth labels": {"label_smoothing": 0.1},
    "decay of weights alone": {"decay_scope": "weights"},
    "factors of a group": {"groups": (ParameterGroup("*.bias", lr_mult=2, decay_mult=0),)},
    "Adam": {"optimizer": Optimizer("adam")},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "parts of a batch": {"accumulate": 3},
    "channels last": {"channels_last": True},
    "bfloat16": {"precision": "bfloat16", "channels_last": True},
    "workers, which images on the device do without": {"workers": 1},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains(name: str, tmp_path: Path) -> None:
    recipe = SHORT.with_changes(**RECIPES[name])
    same_on_both(lambda machine: outcome(machine.train(recipe)), tmp_path)


STEADY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{name: (changes, {}) for name, changes in RECIPES.items()},
    **{name: ({}, config) for name, config in CONFIGS.items()},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STEADY)
def test_a_step_does_not_wait_for_the_device(name: str, tmp_path: Path) -> None:
    changes, config = STEADY[name]
    recipe = SHORT.with_changes(**{**changes, "schedule": Cosine()})  # without snapshots, which are kept on the CPU
    with fake_cuda():
        machine = Machine(CUDA, tmp_path)
        trainer = machine.trainer(recipe, **config)
        batch = EpochBatches(machine.images(), machine.prepared(recipe).train, 4, 0, 0)[0]
        WAITS.clear()
        trainer.step(batch)
        trainer.step(batch)
        assert not WAITS


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_trains(name: str, tmp_path: Path) -> None:
    same_on_both(lambda machine: outcome(machine.train(**CONFIGS[name])), tmp_path, tolerance=2e-2)


def test_images_that_stay_in_main_memory_are_copied_batch_by_batch(tmp_path: Path) -> None:
    def path(machine: Machine) -> Any:
        here, run_dir = Machine(CPU, machine.folder), machine.folder / "run"
        images = here.splits(), here.prepared()
        return outcome(train(machine.net(), *images, SHORT, run_dir, RunConfig(resident=False), log=no_log))

    same_on_both(path, tmp_path)


NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "stochastic depth": ("stochastic_depth", {"depth": 8}),
    "drop-path": ("fractalnet", {"columns": 2, "widths": (4,) * 5}),
    "dropout": ("wide_resnet", {"depth": 10, "k": 1, "drop": 0.3}),
    "dense blocks": ("densenet_bc", {"depth": 10, "k": 4, "drop": 0.2}),
    "memory-efficient dense blocks": ("densenet_bc", {"depth": 10, "k": 4, "drop": 0.2, "memory_efficient": True}),
    "codes": ("lenet5", {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_draws_trains(name: str, tmp_path: Path) -> None:
    network, options = NETWORKS[name]
    recipe = SHORT.with_changes(epochs=1)

    def path(machine: Machine) -> Any:
        return outcome(machine.train(recipe, machine.net(network, in_channels=1, num_classes=10, **options)))

    same_on_both(path, tmp_path, tolerance=1e-3)


@pytest.mark.slow
def test_statistics_of_batch_norms_are_estimated_anew(tmp_path: Path) -> None:
    recipe = SHORT.with_changes(epochs=1, batch_norm_images=8, ema=0.9)

    def path(machine: Machine) -> Any:
        return outcome(machine.train(recipe, machine.net("wide_resnet", depth=10, k=1, in_channels=1)))

    same_on_both(path, tmp_path, tolerance=1e-3)


class Auxiliary(nn.Module):
    """A classifier with two auxiliary ones."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32 * 32, 10) for _ in range(3))

    def forward(self, maps: Tensor) -> Logits | Tensor:
        outputs = [layer(maps.flatten(1)) for layer in self.layers]
        return Logits(*outputs) if self.training else outputs[0]


def test_auxiliary_classifiers_train(tmp_path: Path) -> None:
    def path(machine: Machine) -> Any:
        return outcome(machine.train(net=Net(nn.Identity(), Auxiliary()).to(machine.device)))

    same_on_both(path, tmp_path)


@pytest.mark.slow
def test_float16_trains_with_scaled_gradients(tmp_path: Path) -> None:
    with fake_cuda():
        result = Machine(CUDA, tmp_path).train(precision="float16")
    assert result.result["precision"] == "float16"


@pytest.mark.slow
def test_a_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    """The averaged weights, the snapshots and the best weights are read again too."""
    recipe = SHORT.with_changes(ema=0.9, schedule=Cosine(restarts=2), select="best")

    def path(machine: Machine) -> Any:
        first = machine.train(recipe).state
        max((machine.folder / "run").glob("checkpoint-*.pt")).unlink()
        second = machine.train(recipe).state
        assert all(torch.equal(second[name], value) for name, value in first.items())
        return first

    same_on_both(path, tmp_path)


SMALL_TRANSFORMS: dict[type[Transform], tuple[Transform, ...]] = {
    CenterCrop: (Resize(40), CenterCrop(36), RandomCrop()),
    Lambda: (Lambda(lambda image: image + torch.rand(1, device=image.device).to(image.dtype)),),
    RandomCrop: (RandomCrop(padding=2, padding_mode="reflect"),),
    RandomErasing: (RandomCrop(padding=2, padding_mode="black"), RandomErasing(aspect="uniform", fill=(0.5,))),
    Resize: (Resize(33, 40), RandomCrop()),
}


def pixels_of(machine: Machine, recipe: Recipe, side: int, input_side: int) -> Any:
    """What is fitted, and images after it: with the drawn numbers on the CPU, beside the images, and without a draw."""
    images = machine.images(3, side)
    prepared = prepare(recipe.augmentation, recipe.preprocessing, images, input_side)
    epoch = EpochBatches(images, prepared.train, 6, 0, 0)
    indices = torch.arange(6)
    beside = prepared.train(images.take(indices), epoch.numbers[indices].to(machine.device))
    assert beside.device == machine.device
    return prepared.fitted, epoch[0].images, beside, prepared.center_crop(images.take(indices))


@pytest.mark.parametrize("kind", TRANSFORMS, ids=lambda kind: kind.__name__)
def test_a_transform_augments_images_on_the_device(kind: type[Transform], tmp_path: Path) -> None:
    recipe = SHORT.with_changes(augmentation=SMALL_TRANSFORMS.get(kind) or (kind(),))
    same_on_both(lambda machine: pixels_of(machine, recipe, 40, 32), tmp_path)


@pytest.mark.parametrize(
    "preprocessing", [*(kind() for kind in PREPROCESSING), SubtractMean("pixel")], ids=lambda value: str(value)
)
def test_statistics_fit_images_on_the_device(preprocessing: Preprocessing, tmp_path: Path) -> None:
    recipe = SHORT.with_changes(preprocessing=preprocessing)
    same_on_both(lambda machine: pixels_of(machine, recipe, 8, 8), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", REGULARIZERS, ids=lambda kind: kind.__name__)
def test_a_regularizer_trains(kind: type[Regularizer], tmp_path: Path) -> None:
    recipe = SHORT.with_changes(epochs=1, regularizers=(kind(),))
    networks: dict[str, tuple[str, dict[str, Any]]] = {
        "DropPath": ("wide_resnet", {"depth": 10, "k": 1}),
        "FractionalMaxPooling": ("nin", {}),
        "GroupLasso": ("condensenet_cifar", {"depth": 8, "k0": 4, "form": "training"}),
    }

    def path(machine: Machine) -> Any:
        name, options = networks.get(kind.__name__, ("lenet5_textbook", {}))
        return outcome(machine.train(recipe, machine.net(name, in_channels=1, **options)))

    same_on_both(path, tmp_path, tolerance=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [*(kind() for kind in PROTOCOLS), SingleCrop(size=32, resize=36)], ids=str)
def test_a_protocol_evaluates(protocol: Protocol, tmp_path: Path) -> None:
    def path(machine: Machine) -> Any:
        count = 1 if isinstance(protocol, MultiCrop144) else 3
        score = evaluate(machine.net(), machine.images(count=count), machine.prepared(), protocol=protocol)
        return score.confusion, score.loss

    same_on_both(path, tmp_path)


@pytest.mark.slow
def test_the_history_has_the_share_of_the_devices_peak(tmp_path: Path) -> None:
    """LeNet-5: 117,600 in C1, 240,000 in C3, 48,000 in C5, 10,080 and 840; nobody asks for the image's gradient."""
    macs = 3 * (117_600 + 240_000 + 48_000 + 10_080 + 840) - 117_600
    with fake_cuda() as device:
        machine = Machine(device, tmp_path)
        row = machine.train(precision="bfloat16").history[-1]
        assert row["mfu"] == pytest.approx(row["images_per_second"] * 2 * macs / 989.5e12)
    assert "mfu" not in Machine(CPU, tmp_path / "cpu").train().history[-1]


@pytest.mark.parametrize(
    ("config", "benchmark", "float32"),
    [
        (RunConfig(), True, "ieee"),
        (RunConfig(precision="bfloat16", deterministic=True), False, "ieee"),
        (RunConfig(precision="tf32"), True, "tf32"),
    ],
    ids=["as it is", "deterministic", "tf32"],
)
def test_kernels_of_a_gpu_are_those_of_the_config_in_a_run_alone(
    config: RunConfig, benchmark: bool, float32: str
) -> None:
    cudnn: Any = torch.backends.cudnn

    def settings() -> tuple[Any, ...]:
        matmul: Any = torch.backends.cuda.matmul
        return cudnn.benchmark, cudnn.deterministic, cudnn.conv.fp32_precision, matmul.fp32_precision

    before = settings()
    with gpu_kernels(config, CUDA):
        assert settings() == (benchmark, not benchmark, float32, float32)
    assert settings() == before
    with gpu_kernels(config, CPU):
        assert settings() == before


def test_one_kernel_updates_all_parameters_where_each_has_a_gradient_in_every_step(tmp_path: Path) -> None:
    def is_fused(machine: Machine, recipe: Recipe = SHORT, net: Net | None = None) -> bool:
        groups = build_optimizer(machine.net() if net is None else net, recipe).param_groups
        assert len({group["fused"] for group in groups}) == 1
        return bool(groups[0]["fused"])

    with fake_cuda() as device:
        machine = Machine(device, tmp_path)
        assert is_fused(machine)
        assert is_fused(machine, SHORT.with_changes(optimizer=Optimizer("adam")))
        assert not is_fused(machine, SHORT.with_changes(optimizer=Optimizer("adam", {"foreach": True})))
        assert not is_fused(machine, net=machine.net("stochastic_depth", depth=8))  # a block that is skipped has none
    assert not is_fused(Machine(CPU, tmp_path))
