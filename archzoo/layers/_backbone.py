"""Backbones: the feature maps of a network, stage by stage, for detection, segmentation and other heads."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.errors import BadOption
from archzoo.layers._auxiliary import Tapped
from archzoo.layers._misfits import meta_copy
from archzoo.layers._modules import sequence
from archzoo.options import shown

SIDE = 256  # of the images whose maps are measured, in pixels; larger where the paper's are
# How much larger they are a second time: a multiple of every stride, so that maps grow by this over their stride.
GROWTH = 2**7 * 3 * 5 * 7


@dataclass(frozen=True)
class Stage:
    """A part that returns ``channels`` maps, and from one position to the next there are ``stride`` pixels."""

    name: str
    channels: int
    stride: int


class Backbone(nn.Module):
    """Images (N, C, H, W) to a list of feature maps (N, channels, h, w), one for each of its stages, in their order.

    Attributes:
        stages: What is known of each of the maps.
        channels: The channels of each.
        strides: The stride of each, in pixels.
    """

    returned: list[str]
    overwritten: list[str]

    def __init__(self, features: nn.Module, stages: Sequence[Stage], overwritten: Collection[str]) -> None:
        super().__init__()
        self.features = features
        self.stages = tuple(stages)
        self.channels = tuple(stage.channels for stage in stages)
        self.strides = tuple(stage.stride for stage in stages)
        self.returned = [stage.name.removeprefix("features.") for stage in stages]
        self.overwritten = [name for name in self.returned if name in overwritten]  # in place, by the part after it

    def forward(self, images: Tensor) -> list[Tensor]:
        maps: Tensor = images
        returned: list[Tensor] = []
        for name, part in self.features.named_children():
            maps = part(maps)
            if name in self.returned:
                returned.append(maps.clone() if name in self.overwritten else maps)
        return returned

    def extra_repr(self) -> str:
        return "\n".join(f"{stage.name}: {stage.channels} channels, stride {stage.stride}" for stage in self.stages)


class CapturingBackbone(Backbone):
    """The same for features that are no sequence of parts: their maps are captured on the way."""

    def forward(self, images: Tensor) -> list[Tensor]:
        captured: dict[str, Tensor] = {}

        def capture(name: str, maps: Tensor) -> None:
            captured[name] = maps.clone() if name in self.overwritten else maps

        handles = [
            self.features.get_submodule(name).register_forward_hook(lambda _, __, maps, name=name: capture(name, maps))
            for name in self.returned
        ]
        try:
            self.features(images)
        finally:
            for handle in handles:
                handle.remove()
        return [captured[name] for name in self.returned]


def backbone_of(features: nn.Module, input_size: tuple[int, ...] | None, out_indices: Sequence[int] | None) -> Backbone:
    """As ``Net.backbone``, for the features of a network."""
    stages, overwritten = stages_of(features, input_size)
    chosen = [stages[index] for index in _indices(out_indices, len(stages))]
    if type(features).forward not in (nn.Sequential.forward, Tapped.forward):
        return CapturingBackbone(features, chosen, overwritten).train(features.training)
    parts = dict(features.named_children())
    last = list(parts).index(chosen[-1].name.removeprefix("features."))
    kept = sequence(**dict(islice(parts.items(), last + 1)))
    return Backbone(kept.train(features.training), chosen, overwritten).train(features.training)


def _indices(out_indices: Sequence[int] | None, count: int) -> list[int]:
    """The indices of some of so many stages, in order. Raises BadOption for others."""
    given = range(count) if out_indices is None else out_indices
    fits = isinstance(given, Sequence) and all(type(index) is int and -count <= index < count for index in given)
    chosen = sorted({index % count for index in given}) if fits and count else []
    if not chosen or len(chosen) < len(given):
        raise BadOption(
            f"out_indices must be different indices of the {count} stages, 0 to {count - 1} or -{count} to -1, not "
            f"{shown(out_indices)}"
        )
    return chosen


def stages_of(features: nn.Module, input_size: tuple[int, ...] | None = None) -> tuple[list[Stage], set[str]]:
    """The stages of features, and the parts whose maps the next part overwrites.

    A stage is the last part before the stride grows. Parts before the first weights are none.
    """
    channels = next((module.in_channels for module in features.modules() if isinstance(module, nn.Conv2d)), 3)
    side = max(SIDE, *(input_size or (0,))[1:], 0)
    copy = meta_copy(features)
    small, large = (_run(copy, torch.empty(1, channels, side, side, device="meta")) for side in (side, side + GROWTH))
    stages: dict[int, Stage] = {}
    learned = False
    for name, (maps, _) in small.items():
        learned = learned or any(True for _ in features.get_submodule(name).parameters())
        grown = large[name][0].shape[-1] - maps.shape[-1] if maps.dim() == 4 else 0
        if learned and grown > 0 and GROWTH % grown == 0:
            stages[GROWTH // grown] = Stage(f"features.{name}", maps.shape[1], GROWTH // grown)
    return list(stages.values()), {name for name, (maps, version) in small.items() if maps._version != version}


def _run(features: nn.Module, images: Tensor) -> dict[str, tuple[Tensor, int]]:
    """What each part that the features call themselves returns, and its version at that time."""
    outputs: dict[str, tuple[Tensor, int]] = {}
    inside: list[str] = []

    def leave(name: str, maps: Any) -> None:
        inside.pop()
        if len(inside) == 1 and isinstance(maps, Tensor):
            outputs[name] = maps, maps._version

    handles = []
    for name, module in features.named_modules():
        handles.append(module.register_forward_pre_hook(lambda _, __, name=name: inside.append(name)))
        handles.append(module.register_forward_hook(lambda _, __, maps, name=name: leave(name, maps)))
    try:
        with torch.no_grad():
            features(images)
    finally:
        for handle in handles:
            handle.remove()
    return outputs
