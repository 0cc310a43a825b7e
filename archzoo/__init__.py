"""Classic convolutional networks, each as its paper describes it: build, profile, audit and train them.

>>> import archzoo
>>> net = archzoo.build("densenet_bc", k=12)
>>> archzoo.profile(net).params
769162

Nothing here imports PyTorch before it is needed. Submodules load when they are used: ``archzoo.training``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, cast

from archzoo.errors import ArchzooError, BadOption, ProfileError, UnknownName
from archzoo.registry import Entry, find, names

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from archzoo import accelerators as accelerators
    from archzoo import auditor as auditor
    from archzoo import claims as claims
    from archzoo import comparison as comparison
    from archzoo import data as data
    from archzoo import errors as errors
    from archzoo import escaping as escaping
    from archzoo import estimate as estimate
    from archzoo import exporting as exporting
    from archzoo import files as files
    from archzoo import grading as grading
    from archzoo import inference as inference
    from archzoo import layers as layers
    from archzoo import limits as limits
    from archzoo import models as models
    from archzoo import notebook_html as notebook_html
    from archzoo import options as options
    from archzoo import paper as paper
    from archzoo import papers as papers
    from archzoo import printed as printed
    from archzoo import processes as processes
    from archzoo import profiler as profiler
    from archzoo import ranges as ranges
    from archzoo import read_only as read_only
    from archzoo import recipes as recipes
    from archzoo import registry as registry
    from archzoo import report as report
    from archzoo import restoring as restoring
    from archzoo import results as results
    from archzoo import training as training
    from archzoo import transfer as transfer
    from archzoo import weights as weights
    from archzoo import wrappers as wrappers
    from archzoo.auditor import Audit
    from archzoo.comparison import Equivalence
    from archzoo.layers import Net
    from archzoo.profiler import Profile

__version__ = "0.1.0"
__all__ = [
    "ArchzooError",
    "BadOption",
    "Entry",
    "UnknownName",
    "audit",
    "build",
    "find",
    "load",
    "names",
    "profile",
    "same",
]
SUBMODULES = (
    "accelerators",
    "auditor",
    "claims",
    "comparison",
    "data",
    "errors",
    "escaping",
    "estimate",
    "exporting",
    "files",
    "grading",
    "inference",
    "layers",
    "limits",
    "models",
    "notebook_html",
    "options",
    "paper",
    "papers",
    "printed",
    "processes",
    "profiler",
    "ranges",
    "read_only",
    "recipes",
    "registry",
    "report",
    "restoring",
    "results",
    "training",
    "transfer",
    "weights",
    "wrappers",
)


def build(
    name: str,
    /,
    *,
    weights: "str | Path | None" = None,
    device: "torch.device | str | None" = None,
    adapt_input: Literal["sum", "mean"] | None = None,
    trained_as: str | None = None,
    **options: Any,
) -> "Net":
    """A new network by name, with its paper's options by default.

    Args:
        name: A registered name, in any spelling: ``densenet_bc``, ``VGG16``.
        weights: Pretrained weights: "torchvision", "timm", one of their sets such as "torchvision:IMAGENET1K_V2", or a
            file or folder: safetensors, what ``torch.save`` wrote, or the index of a checkpoint in several files. They
            set the options that they need. Another ``num_classes`` than theirs gives a new last layer, with a warning.
        device: Where the parameters are created. On "meta" they have shapes and no values, which takes milliseconds.
        adapt_input: How the first layer's weights are adapted to another ``in_channels`` than they were trained on: by
            their "sum" or "mean" over the channels.
        trained_as: The name of this network, for a file with the tensors of a published network that computes another
            function: torchvision's ResNet-50 has the tensors of the paper's, and strides elsewhere.
        **options: The options of the network's constructor: see ``archzoo.find(name).options``. With ``num_classes=0``
            the network has no final layer, and returns what that layer would read.

    Raises:
        UnknownName: If no network has this name.
        BadOption: If an option does not exist or its value does not fit, if the weights are those of another network,
            and for more than a billion parameters or 10,000 layers: the environment variables ARCHZOO_MAX_PARAMETERS
            and ARCHZOO_MAX_LAYERS set other bounds.
        DeviceError: If the machine does not have the device.
        WeightsError: If a weights file cannot be read or does not fit.
    """
    entry = find(name)
    if device is not None:
        from archzoo.layers import checked_device

        device = checked_device(device)
    if weights is None and (adapt_input is not None or trained_as is not None):
        from archzoo.options import shown

        raise BadOption(
            f"adapt_input={shown(adapt_input)} adapts pretrained weights: give weights too, or leave it out"
            if adapt_input is not None
            else f"trained_as={shown(trained_as)} is for a file: give it as weights, or leave trained_as out"
        )
    if weights is not None:
        from archzoo.weights import build_pretrained

        net = build_pretrained(entry, weights, options, adapt_input, trained_as=trained_as)
        return net if device is None else net.to(device)
    if device is None:
        return cast("Net", entry.build(**options))

    import torch

    with torch.device(device):
        return cast("Net", entry.build(**options))


def load(path: "str | Path") -> "Net":
    """The network in a safetensors file that ``archzoo.weights.save`` wrote, rebuilt from its metadata."""
    from archzoo.weights import load

    return load(path)


def profile(
    model: "torch.nn.Module | str",
    input_size: Any = None,
    *,
    batch: int | None = None,
    batch_axis: int | None = 0,
    **options: Any,
) -> "Profile":
    """The costs of any model for one input of size (channels, height, width): see ``archzoo.profiler.profile``.

    Args:
        model: A network, or the name of one, which is built on the meta device with ``options``.
        input_size: The size without the batch. By default that of the network's paper. A list of sizes or example
            tensors stands for several inputs, a dict for inputs by name.
        batch: How many inputs run together. All counts are for one of them.
        batch_axis: The dimension of the inputs that is the batch, or None to count the whole call.
        **options: Options of a network that is given by name.

    Raises:
        archzoo.errors.ProfileError: If no paper gives the input size of a model, or it cannot be profiled.
        UnknownName: If no network has this name.
        BadOption: If an option does not exist or does not fit, or the model is given as a module.
    """
    from archzoo.layers import Net
    from archzoo.profiler import profile
    from archzoo.wrappers import unwrapped

    of_name = None
    if isinstance(model, str):
        entry = find(model)
        of_name = (options.get("in_channels", entry.options["in_channels"]), *entry.input_size[1:])
        model = build(model, device="meta", **options)
    elif options:
        raise BadOption(
            f"{', '.join(options)}: options are for a network that is given by name, as profile('resnet20')"
        )
    net = unwrapped(model, averaged=True)
    name, usual = (net.name, net.input_size) if isinstance(net, Net) else ("", None)
    usual = usual or of_name  # a module of another package does not say it
    if input_size is None and usual is None:
        raise ProfileError(f"no paper gives the input size of this {type(net).__name__}: give one, as (3, 224, 224)")
    counted = profile(model, usual if input_size is None else input_size, batch=batch, batch_axis=batch_axis)
    counted.model = name or counted.model
    return counted


def same(a: "torch.nn.Module | str | Path", b: "torch.nn.Module | str | Path", input_size: Any = None) -> "Equivalence":
    """Whether two networks are the same function for any weights: see ``archzoo.comparison.same``.

    Each is a module, a name, ``file.py:Net``, whose code runs, or a weights file that says what it is. Raises
    ComparisonError.
    """
    from archzoo.comparison import same

    return same(a, b, input_size)


def audit(pattern: str = "*") -> "Audit":
    """One verdict for each number that the papers print about matching networks: see ``archzoo.auditor.audit``."""
    from archzoo.auditor import audit

    return audit(pattern)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in SUBMODULES:
            raise AttributeError(f"module 'archzoo' has no attribute {name!r}")
        return import_module(f"archzoo.{name}")


def __dir__() -> list[str]:
    return sorted({*__all__, *SUBMODULES, *(name for name in globals() if name.startswith("__"))})
