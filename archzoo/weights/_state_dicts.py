"""Where a checkpoint keeps its state dict, and what wrappers put in front of the names of its tensors."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archzoo.errors import WeightsError
from archzoo.weights._recognition import first_line
from archzoo.weights._stand_ins import NumpyArray, is_network, tensors_of

LARGEST = 1000  # tables and lists that are searched

# Where training scripts put averaged weights, and the weights themselves.
AVERAGED = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "ema_model_state_dict"),
    *("params_ema", "ema_params", "ema_weights", "ema", "averaged", "swa_state_dict", "swa_model", "swa"),
)
PLAIN = (
    *("state_dict", "model_state_dict", "model", "net", "net_state_dict", "network", "params", "weights"),
    *("model_state", "model_weights", "module", "state", "backbone"),
)
# What holds tensors that are no weights.
TRAINING = re.compile(
    r"optim|sched|scaler|(^|[_.-])(opt|rng|random|amp|loops?|callbacks?|hyper|hparams|conf|config|cfg|args?|arguments|"
    r"param_groups|hist|history|meta|metadata|loss|losses|metrics?|results?|queue)([_.-]|$)",
    re.IGNORECASE,
)
# Names that wrappers of parts add, wherever the part is.
WITHIN = re.compile(r"(^|\.)(?:(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.)+")
# Names of the part of a wrapper that is the network. None of ours, torchvision's or timm's begins with one.
AVERAGED_PREFIXES = ("ema_model.", "model_ema.", "ema.", "averaged_model.", "swa_model.")
PREFIXES = (
    *("module.", "model.", "net.", "network.", "backbone.", "encoder_q.", "base_encoder.", "online_encoder."),
    *("base_model.", "_model.", "student."),
)


@dataclass(frozen=True)
class StateDict:
    """Tensors by name, without the names that wrappers add.

    ``where`` are the keys of the checkpoint that lead to it, ``prefix`` is what its names began with, and ``outside``
    are the names of tensors that did not begin so. ``notes`` say what was chosen.
    """

    tensors: dict[str, Tensor]
    where: tuple[str, ...] = ()
    prefix: str = ""
    outside: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def state_dict_in(content: Any, source: str) -> StateDict:
    """The state dict in what a file holds. Averaged weights are preferred, which ``notes`` say.

    Raises WeightsError if there is none, or if there are several under names that do not tell which one is meant.
    """
    found = _find(content, source, set())
    if found is None:
        raise WeightsError(f"{source} holds no state dict (tensors by name), but {_described(content)}")
    return found


def _find(content: Any, source: str, seen: set[int]) -> StateDict | None:
    """The state dict in a part of a checkpoint that was not ``seen``: a hostile one may hold itself."""
    if id(content) in seen:
        return None
    seen.add(id(content))
    if is_network(content):
        return without_prefixes(tensors_of(content), source)
    if isinstance(content, Sequence) and not isinstance(content, (str, bytes)):
        content = {str(position): item for position, item in enumerate(content)}
    if not isinstance(content, Mapping) or len(seen) > LARGEST:
        return None
    averaged = _first_of(AVERAGED, content, source, seen)
    plain = _first_of(PLAIN, content, source, seen)
    if averaged is not None and plain is not None:
        return _preferred(averaged, plain)
    own = {name: tensor for name, item in content.items() if (tensor := _tensor(item)) is not None}
    if averaged or plain:
        return averaged or plain
    inner = None if any("." in str(name) for name in own) else _only_one(content, source, seen)
    if inner is None and own and all(isinstance(name, str) for name in own):
        return without_prefixes(own, source)
    return inner


def _tensor(item: Any) -> Tensor | None:
    return item.tensor if isinstance(item, NumpyArray) else item if isinstance(item, Tensor) else None


def _first_of(keys: Iterable[str], content: Mapping[Any, Any], source: str, seen: set[int]) -> StateDict | None:
    for key in keys:
        found = _below(key, content, source, seen) if key in content else None
        if found is not None:
            return found
    return None


def _below(key: str, content: Mapping[Any, Any], source: str, seen: set[int]) -> StateDict | None:
    found = None if isinstance(content[key], Tensor) else _find(content[key], source, seen)
    if found is None or not found.tensors:
        return None
    return StateDict(found.tensors, (key, *found.where), found.prefix, found.outside, found.notes)


def _preferred(averaged: StateDict, plain: StateDict) -> StateDict:
    """The averaged weights, unless they lack some of the others, such as statistics of batch norm."""
    lacking = sorted(
        name
        for name in plain.tensors.keys() - averaged.tensors.keys() - plain.outside
        if not name.endswith("num_batches_tracked")  # which has no average
    )
    chosen, other = (plain, averaged) if lacking else (averaged, plain)
    note = f"the averaged weights of {_spell(chosen)} are read, not those of {_spell(other)}"
    if lacking:
        lack = f"which lack {len(lacking)} tensors ({first_line(lacking[0], 60)})"
        note = f"the weights of {_spell(chosen)} are read, not the averaged ones of {_spell(other)}, {lack}"
    return StateDict(chosen.tensors, chosen.where, chosen.prefix, chosen.outside, (*chosen.notes, note))


def _spell(state: StateDict) -> str:
    return ".".join(state.where)


def _only_one(content: Mapping[Any, Any], source: str, seen: set[int]) -> StateDict | None:
    """The state dict under a key that says nothing, if no other key has one."""
    keys = [key for key in content if isinstance(key, str) and not TRAINING.search(key)]
    found = {key: state for key in keys if (state := _below(key, content, source, seen)) is not None}
    if len(found) > 1:
        names = ", ".join(first_line(key, 40) for key in list(found)[:5])
        raise WeightsError(
            f"{source} holds several state dicts ({names}): give a file with one, such as "
            f"torch.save(checkpoint[{next(iter(found))!r}], 'weights.pth')"
        )
    return next(iter(found.values()), None)


def _described(content: Any) -> str:
    if isinstance(content, Mapping) and content:
        return f"a table of {', '.join(first_line(key, 40) for key in list(content)[:5])}"
    return f"a {type(content).__name__}"


def without_prefixes(tensors: Mapping[str, Tensor], source: str) -> StateDict:
    """A state dict without the names that compiled, parallel and other wrappers add, also one in another.

    Raises WeightsError where two tensors have the same name without them, and other values.
    """
    inside = {name: WITHIN.sub(r"\1", name) for name in tensors if name != "n_averaged"}
    outside: dict[str, str] = {}
    prefix, notes = "", []
    while (chosen := _wrapper_of(inside.values())) is not None:
        begins, note = chosen
        outside |= {original: name for original, name in inside.items() if not name.startswith(begins)}
        inside = {
            original: WITHIN.sub(r"\1", name[len(begins) :])
            for original, name in inside.items()
            if name.startswith(begins) and name != f"{begins}n_averaged"
        }
        prefix += begins
        notes += [note] if note else []
    kept = _by_name(inside, tensors, source)
    averaged = prefix.startswith(AVERAGED_PREFIXES) and kept.keys() >= set(outside.values())
    if not averaged:
        _by_name(inside | outside, tensors, source)
    beside = {name: tensors[original] for original, name in outside.items() if name not in kept}
    return StateDict({**kept, **beside}, (), prefix, frozenset(beside), tuple(notes))


def _by_name(names: Mapping[str, str], tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Tensors by their new names, of which none may take the place of another."""
    originals: dict[str, str] = {}
    for original, name in names.items():
        other = originals.setdefault(name, original)
        if other != original and not _same_values(tensors[other], tensors[original]):
            both = f"{first_line(other, 60)!r} and {first_line(original, 60)!r}"
            raise WeightsError(f"{source} has two sets of weights in one table, {both}: give a file with one")
    return {name: tensors[original] for name, original in originals.items()}


def _same_values(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype or a.layout != b.layout or a.device != b.device:
        return False
    return a is b or (not a.is_meta and a.layout == torch.strided and torch.equal(a, b))


def _wrapper_of(names: Iterable[str]) -> tuple[str, str] | None:
    """The prefix of a network in its wrapper, and what to say about the choice."""
    names = list(names)
    present = [prefix for prefix in (*AVERAGED_PREFIXES, *PREFIXES) if any(n.startswith(prefix) for n in names)]
    if not present:
        return None
    first = present[0]
    plain = next((prefix for prefix in present if prefix in PREFIXES), None)
    if first in AVERAGED_PREFIXES and plain is None:
        beside = {n[len(first) :] for n in names if n.startswith(first)}.intersection(names)
        return first, f"the averaged weights of {first}* are read, not those beside them" if beside else ""
    if first in AVERAGED_PREFIXES and plain is not None:
        inner = {begins: {n[len(begins) :] for n in names if n.startswith(begins)} for begins in (first, plain)}
        if inner[plain] - inner[first]:
            return plain, f"the weights of {plain}* are read, not the averaged ones of {first}*, which lacks some"
        return first, f"the averaged weights of {first}* are read, not those of {plain}*"
    return first, ""
