"""A linear probe: the classifier is trained on features that are computed once and stay fixed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.data import ImageSet, Pipeline, Prepared, Splits
from archzoo.errors import TransferError
from archzoo.layers import Net, device_of, evaluation_mode
from archzoo.recipes import Recipe, SingleCrop
from archzoo.training import Distributed, Log, RunConfig, TrainResult, log_to_stderr, train


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
    head = Net(nn.Flatten() if size == (1, 1) else nn.Identity(), nn.Sequential(*trained))
    identity = Pipeline(())
    result = train(
        head,
        features,
        Prepared(size[0], identity, identity, identity),
        recipe.with_changes(augmentation=(), protocol=SingleCrop()),
        run_dir,
        config,
        distributed=distributed,
        description=description,
        log=log,
    )
    return replace(result, net=net, state=net.state_dict())


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
    with evaluation_mode(extractor), torch.no_grad():
        for indices in torch.split(torch.arange(len(images)), batch_size):
            maps = extractor(prepared.center_crop(images.take(indices)).to(device)).float().cpu()
            batches.append(maps.view(len(indices), -1, 1, 1) if maps.dim() == 2 else maps)
    features = torch.cat(batches)
    count, channels, height, width = features.shape
    return ImageSet(
        f"features of {images.name}",
        features.permute(0, 2, 3, 1).reshape(-1),
        torch.arange(count) * (channels * height * width),
        torch.tensor([[height, width]]).repeat(count, 1),
        images.labels,
        images.classes,
        channels,
    )
