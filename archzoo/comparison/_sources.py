"""The networks that a comparison is given: modules, names, and files."""

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from archzoo.comparison._carrying import carried
from archzoo.comparison._comparing import Equivalence, compare
from archzoo.comparison._differences import Difference
from archzoo.comparison._running import tensors_of
from archzoo.errors import ComparisonError
from archzoo.layers import Net
from archzoo.options import shown
from archzoo.registry import Entry, find
from archzoo.weights import build_pretrained, is_path, rebuild
from archzoo.wrappers import unwrapped

Source = nn.Module | str | Path


@dataclass(frozen=True)
class Network:
    """A network, what it is called, its usual input size if it has one, and whether its weights are those of a file.

    ``notes`` are how a file was read. With ``only_size`` the network runs on inputs of its usual size alone, and
    without ``trainable`` it has neither momenta nor dropouts, as the graph of an ONNX model.
    """

    module: nn.Module
    name: str
    input_size: tuple[int, ...] | None = None
    has_weights: bool = False
    notes: tuple[str, ...] = ()
    only_size: bool = False
    trainable: bool = True


def same(a: Source, b: Source, input_size: Any = None) -> Equivalence:
    """Whether two networks are the same function of their inputs for any weights: see ``archzoo.comparison.compare``.

    Args:
        a: A module; a name such as "resnet20"; ``file.py:Net``, whose code runs; or the path of a checkpoint: one that
            describes its network, an ONNX model, or one that can be only one of ours.
        b: Another one.
        input_size: (channels, height, width), or a list of sizes for several inputs; by default that of the paper, if
            one of the networks has a name.

    Raises:
        ComparisonError: If a network cannot be loaded, does not run, or no paper gives the input size.
        WeightsError: If a checkpoint cannot be read, or may be several networks or none.
    """
    return same_networks(read(a), read(b), input_size)


def same_networks(a: Network, b: Network, input_size: Any = None) -> Equivalence:
    """The verdict on two networks, and where both have weights of files, whether these are the same."""
    names, notes = (a.name, b.name), (*a.notes, *b.notes)
    if input_size is None:
        usual = {n.name: n.input_size for n in sorted((a, b), key=lambda n: not n.only_size) if n.input_size}
        if not usual:
            raise ComparisonError("no paper gives the input size of these networks: give one, such as (3, 224, 224)")
        input_size = next(iter(usual.values()))
        if len({size[0] for size in usual.values()}) > 1:
            text = f"images of {_sides(a.input_size)} against images of {_sides(b.input_size)}"
            return Equivalence("different", Difference("input", "", "", text), notes=notes, names=names)
        if len(set(usual.values())) > 1:
            sizes = " and ".join(f"{_sides(size)} of {name}" for name, size in usual.items())
            notes += (f"compared on the first of the usual sizes, {sizes}",)
    comparison = compare(a.module, b.module, input_size, names=names, training=a.trainable and b.trainable)
    if comparison.equal and a.has_weights and b.has_weights:
        same = same_weights(comparison, a.module, b.module)
        notes += ("their weights are the same" if same else "their weights differ",)
    return replace(comparison, notes=(*comparison.notes, *notes))


def _sides(size: tuple[int, ...] | None) -> str:
    return "x".join(map(str, size or ()))


def same_weights(comparison: Equivalence, a: nn.Module, b: nn.Module) -> bool:
    """Whether two networks that are the same function have the same weights, each in the place of its counterpart."""
    source, own = ({name: t.detach().cpu() for name, t in tensors_of(net).items()} for net in (a, b))
    try:
        moved = carried(comparison.layers, source, own, set())
    except ComparisonError:
        return False
    names = {weight.name for layer in comparison.layers for weight in layer.steps[1].weights.values()}
    return all(torch.equal(moved[name], own[name].to(moved[name].dtype)) for name in names)


def read(source: Source) -> Network:
    """A network from what the caller gives."""
    if isinstance(source, nn.Module):
        net = unwrapped(source, averaged=True)
        if isinstance(net, Net) and net.name:
            return Network(source, net.name, net.input_size)
        return Network(source, type(source).__name__)
    if not isinstance(source, (str, os.PathLike)):
        raise ComparisonError(f"expected a torch.nn.Module, a name or a path, not {shown(source)}")
    text = str(source)
    path, colon, name = text.rpartition(":")
    if colon and path.endswith(".py"):
        return Network(run_file(Path(path), name), text)
    if text.endswith(".py"):
        raise ComparisonError(f"{text} is Python: add the class or function that makes the network, {text}:NAME")
    if isinstance(source, Path) or is_path(text) or os.path.isfile(text):
        rebuilt = rebuild(text)
        return Network(
            *(rebuilt.net, text, rebuilt.input_size),
            has_weights=True,
            notes=rebuilt.notes,
            only_size=rebuilt.only_size,
            trainable=not rebuilt.is_graph,
        )
    return of_entry(find(text), {}, text)


def of_entry(entry: Entry, options: dict[str, Any], name: str, weights: str | None = None) -> Network:
    """A registered network, without values unless it has constants; with the weights of a file where one is given."""
    if weights is not None:
        return Network(build_pretrained(entry, weights, options), name, entry.input_size, has_weights=True)
    with torch.device("meta"):
        net = entry.build(**options)
    if any(list(module.buffers(recurse=False)) for module in net.modules() if not isinstance(module, _BatchNorm)):
        net = entry.build(**options)
    return Network(net, name, entry.input_size)


def run_file(path: Path, name: str) -> nn.Module:
    """Run a file of Python, and call ``name`` in it without arguments: a class or function that makes a module.

    Raises ComparisonError if there is no such file or name, if it makes something else, or from errors of its own.
    """
    if not os.path.isfile(path):
        raise ComparisonError(f"there is no file {path}")
    make = _attribute(path, name)
    try:
        made = make if isinstance(make, nn.Module) else make()
    except (Exception, SystemExit) as error:
        raise ComparisonError(f"{path}: {name}() raised {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module):
        raise ComparisonError(f"{path}: {name} makes a {type(made).__name__}, not a torch.nn.Module")
    return made


def _attribute(path: Path, name: str) -> Callable[[], Any]:
    spec = importlib.util.spec_from_file_location(f"compared_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[spec.name] = module  # dataclasses look up their module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ComparisonError(f"{path} raised {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
        del sys.modules[spec.name]
    made = getattr(module, name, None)
    if not callable(made):
        classes = {key: value for key, value in vars(module).items() if isinstance(value, type)}
        own = [key for key, value in classes.items() if issubclass(value, nn.Module) and value.__module__ == spec.name]
        raise ComparisonError(f"{path} has no {name}: its modules are {', '.join(own) or 'none'}")
    return made  # type: ignore[no-any-return]
