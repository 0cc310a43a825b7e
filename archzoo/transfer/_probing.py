"""A linear probe: the classifier is trained on features that are computed once and stay fixed."""

from collections import OrderedDict
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.data import ImageSet, Pipeline, Prepared, Splits, take_crops
from archzoo.errors import TransferError
from archzoo.layers import Net, device_of, evaluation_mode
from archzoo.recipes import Recipe, SingleCrop
from archzoo.training import (
    Distributed,
    Log,
    RunConfig,
    TrainResult,
    check_groups,
    log_to_stderr,
    single_crop,
    train,
)


def linear_probe(
    net: Net,
    splits: Splits,
    prepared: Prepared,
    recipe: Recipe,
    run_dir: str | Path,
    config: RunConfig | None = None,
    *,
    distributed: Distributed | None = None,
    description: dict[str, Any] | None = None,
    log: Log = log_to_stderr,
) -> TrainResult:
    """Train the classifier of a network on its features, in place. They are computed once, of the center crop.

    The result is that of a run with ``freeze(net, "features")`` on the same crops, batch statistics included. Raises
    TransferError if the classifier has no parameters; see ``archzoo.training._trainer.train`` for the other arguments
    and errors.
    """
    distributed = distributed or Distributed(device=device_of(net))
    device = distributed.device
    net.to(device)
    fixed, trained = split_classifier(net.classifier)
    extractor = nn.Sequential(net.features, *fixed)
    features = Splits(
        **{name: compute_features(extractor, images, prepared, device) for name, images in vars(splits).items()}
    )
    size = features.train.size or (1, 1)
    head = Net(nn.Flatten() if size == (1, 1) else nn.Identity(), _named(net.classifier, trained))
    check_groups(net, recipe.groups)
    names = [name for name, _ in head.named_parameters()]
    identity = Pipeline(())
    result = train(
        head,
        features,
        Prepared(size[0], identity, identity, identity),
        recipe.with_changes(
            augmentation=(),
            protocol=SingleCrop(),
            batch_norm_images=0,
            groups=tuple(group for group in recipe.groups if any(map(group.matches, names))),
        ),
        run_dir,
        config,
        distributed=distributed,
        description=description,
        log=log,
    )
    return replace(result, net=net, state=net.state_dict())


def _named(classifier: nn.Module, trained: list[nn.Module]) -> nn.Module:
    """The trained layers of a classifier under the names that they have in it, which a recipe's groups refer to."""
    if not isinstance(classifier, nn.Sequential):
        return classifier
    return nn.Sequential(OrderedDict((name, layer) for name, layer in classifier.named_children() if layer in trained))


def split_classifier(classifier: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
    """The layers of a classifier before the first one with parameters or dropout, and the rest."""
    layers = list(classifier.children()) if isinstance(classifier, nn.Sequential) else [classifier]
    first = next((index for index, layer in enumerate(layers) if _learns_or_drops(layer)), None)
    if first is None:
        raise TransferError("the classifier has no parameters to train: see archzoo.transfer.replace_classifier")
    return layers[:first], layers[first:]


def _learns_or_drops(layer: nn.Module) -> bool:
    drops = any(isinstance(module, nn.Dropout | nn.Dropout2d) for module in layer.modules())
    return drops or any(True for _ in layer.parameters())


def compute_features(
    extractor: nn.Module, images: ImageSet, prepared: Prepared, device: Any, batch_size: int = 64
) -> ImageSet:
    """The features of the center crop of every image, in order, as float pixels of a set; computed in eval mode."""
    batches: list[Tensor] = []
    labels: list[Tensor] = []
    with evaluation_mode(extractor), torch.no_grad():
        for indices in torch.split(torch.arange(len(images)), batch_size):
            crops, kept = take_crops(images, indices, partial(single_crop, prepared=prepared))
            labels.append(kept)
            for crop in crops:
                maps = extractor(crop.to(device)).float().cpu()
                batches.append(maps.view(len(maps), -1, 1, 1) if maps.dim() == 2 else maps)
    features = torch.cat(batches)
    count, channels, height, width = features.shape
    return ImageSet(
        f"features of {images.name}",
        features.permute(0, 2, 3, 1).reshape(-1),
        torch.arange(count) * (channels * height * width),
        torch.tensor([[height, width]]).repeat(count, 1),
        torch.cat(labels),
        images.classes,
        channels,
    )
