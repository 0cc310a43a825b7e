"""Whether two networks are the same function."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from archzoo.comparison._carrying import State, carried, constants_of, random_state
from archzoo.comparison._differences import Difference, Ordered, first_difference, training_difference
from archzoo.comparison._graph import Graph
from archzoo.comparison._matching import LayerMatch, match
from archzoo.comparison._running import run, sizes_of, tensors_of, trace
from archzoo.errors import ArchzooError, ComparisonError
from archzoo.restoring import copy_to_run, process_restored

Verdict = Literal["equal", "equal up to a permutation of channels", "different"]
TOLERANCE = 1e-9  # of outputs in float64, as a share of their norm
BATCH = 2
SEED = 0
# Of inputs where only the outputs speak for two networks: near zero and far from it, where ReLU6 is no ReLU.
SCALES = (1.0, 1e-3, 1e3, 1e6)


@dataclass(frozen=True)
class Permutation:
    """Where a layer of the second network has the channels of its counterpart.

    Channel ``outputs[i]`` of what it returns is channel i of the first network's layer ``first``, and ``inputs`` says
    the same of what it reads; None where a layer acts on each channel alone.
    """

    first: str
    second: str
    outputs: tuple[int, ...]
    inputs: tuple[int, ...] | None


@dataclass(frozen=True)
class Equivalence:
    """The verdict on two networks.

    Attributes:
        verdict: "equal", "equal up to a permutation of channels", or "different".
        difference: The first module whose output differs, and why; None if the networks are equal.
        permutations: The layers whose channels are in other places, if the networks are equal up to a permutation.
        notes: What is written in two ways and is the same for inputs of this size, and what was not compared.
        error: The largest difference of outputs with weights carried over, as a share of their norm; None if the
            weights of one network do not fit into the other, or outputs of the second are not finite.
        names: What the two networks are called.
    """

    verdict: Verdict
    difference: Difference | None = None
    permutations: tuple[Permutation, ...] = ()
    notes: tuple[str, ...] = ()
    error: float | None = None
    names: tuple[str, str] = ("the first", "the second")
    layers: tuple[LayerMatch, ...] = field(default=(), repr=False)

    @property
    def equal(self) -> bool:
        """Whether they are the same function, in any order of channels."""
        return self.verdict != "different"

    def __str__(self) -> str:
        lines = [f"{self.names[0]} and {self.names[1]} are {self.verdict}"]
        lines[0] += "" if self.difference is None else f": {self.difference}"
        lines += [f"  {p.first} -> {p.second}: {_ranges(p.outputs)}" for p in self.permutations]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def as_dict(self) -> dict[str, Any]:
        """All of it as values for JSON."""
        difference = self.difference
        return {
            "first": self.names[0],
            "second": self.names[1],
            "verdict": self.verdict,
            "difference": None if difference is None else vars(difference),
            "permutations": [vars(permutation) for permutation in self.permutations],
            "notes": list(self.notes),
            "error": self.error,
        }


def _ranges(numbers: tuple[int, ...]) -> str:
    """Numbers as text: 8-23, 0-7, 24-31."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def compare(
    a: nn.Module, b: nn.Module, input_size: Any, *, names: tuple[str, str] | None = None, training: bool = True
) -> Equivalence:
    """Whether two networks are the same function of their inputs for any weights.

    They are run in eval mode and followed operator by operator, so that neither names nor the way in which the code is
    written matters. ``b`` gets the weights of ``a``, and the outputs are compared in float64 on random inputs, weights
    and batch statistics. Momenta and dropout rates are compared too, as far as eval mode calls them. Both networks are
    left as they are.

    Args:
        a: The first network.
        b: The second network.
        input_size: (channels, height, width) without the batch, or a list of such sizes for several inputs.
        names: What to call the networks; their classes by default.
        training: Whether momenta and dropouts count.

    Raises:
        ComparisonError: If a network does not run on such an input, or writes into a part of a tensor.
    """
    for network in (a, b):
        if not isinstance(network, nn.Module):
            raise ComparisonError(f"expected a torch.nn.Module, not {type(network).__name__}")
    sizes, names = sizes_of(input_size), names or (type(a).__name__, type(b).__name__)
    with torch.device("cpu"), process_restored():
        first, second = copy_to_run(a), copy_to_run(b)
        graphs = trace(first, sizes, names[0], training=training), trace(second, sizes, names[1], training=training)
        pair = Pair((first, second), graphs, sizes)
        try:
            return (
                pair.same_graphs(names)
                or pair.same_but_for_training(names)
                or pair.same_values(names)
                or pair.different(names)
            )
        except ArchzooError:
            raise
        except Exception as error:  # of the networks' own code
            reason = f"{type(error).__name__}: {error}"
            raise ComparisonError(f"{names[0]} or {names[1]} does not run with other weights: {reason}") from error


class Pair:
    """Two networks and their graphs."""

    def __init__(self, models: tuple[nn.Module, nn.Module], graphs: tuple[Graph, Graph], sizes: Any) -> None:
        self.models = models
        self.graphs = graphs
        self.sizes = sizes
        self.constants = [constants_of(model, graph) for model, graph in zip(models, graphs, strict=True)]
        self.reason: Difference | None = None
        self.error: float | None = None

    def same_graphs(self, names: tuple[str, str]) -> Equivalence | None:
        """The verdict from an isomorphism of the graphs, confirmed by outputs, or None where there is none."""
        found = match(*self.graphs)
        if found is None or not self._constants_equal(found.layers):
            return None
        if not self._confirmed(found.layers):
            return None
        written = {
            f"{x.module or '(top)'} / {y.module or '(top)'}: {x.kind} written with {x.written}, and {y.written}"
            for x, y in found.steps
            if x.written != y.written
        }
        notes = [f"the same for inputs of this size: {text}" for text in sorted(written)]
        notes += self._unused()
        permutations = tuple(_permutation(layer) for layer in found.layers if layer.moves)
        verdict: Verdict = "equal up to a permutation of channels" if permutations else "equal"
        return Equivalence(verdict, None, permutations, tuple(notes), self.error, names, tuple(found.layers))

    def same_but_for_training(self, names: tuple[str, str]) -> Equivalence | None:
        """The verdict for networks that differ in a momentum or a dropout alone, or None where they do not."""
        found = match(*self.graphs, training=False)
        if found is None or not self._constants_equal(found.layers) or not self._confirmed(found.layers):
            return None
        difference = next((training_difference(x, y) for x, y in found.steps if x.training != y.training), None)
        difference = difference or first_difference(*self.graphs)
        note = "in eval mode they are the same"
        return Equivalence("different", difference, (), (note,), self.error, names)

    def same_values(self, names: tuple[str, str]) -> Equivalence | None:
        """The verdict for networks whose layers are the same and whose formulas are written in two ways."""
        ordered = [Ordered(graph) for graph in self.graphs]
        layers = _in_order(*ordered)
        if layers is None or _training(ordered[0]) != _training(ordered[1]):
            return None
        if not self._constants_equal(layers) or not self._confirmed(layers, SCALES):
            return None
        difference = first_difference(*self.graphs)
        note = f"the outputs are the same, computed in two ways for inputs of this size ({difference})"
        notes = ([note] if difference else []) + self._unused()
        return Equivalence("equal", None, (), tuple(notes), self.error, names, tuple(layers))

    def different(self, names: tuple[str, str]) -> Equivalence:
        """The verdict for networks that are not the same."""
        difference = first_difference(*self.graphs) or self.reason
        if difference is None:
            self._check_repeatable(names)
            if not any(str(name).startswith("constant") for step in self.graphs[0].steps for name in step.settings):
                raise ComparisonError(
                    f"{names[0]} and {names[1]} have the same layers, and return other values: what they compute "
                    "depends on values in a way that cannot be followed"
                )
            difference = Difference("constant", "", "", "numbers in the code differ: the layers are the same")
        return Equivalence("different", difference, error=self.error, names=names)

    def _check_repeatable(self, names: tuple[str, str]) -> None:
        """Raise ComparisonError for a network that draws random numbers in eval mode."""
        for model, graph, name in zip(self.models, self.graphs, names, strict=True):
            generator = torch.Generator().manual_seed(SEED)
            state = random_state(model, graph, generator)
            inputs = [torch.randn(BATCH, *size, generator=generator, dtype=torch.float64) for size in self.sizes]
            first, second = (tree_flatten(run(model, state, inputs))[0] for _ in range(2))
            if _error(first, second) != 0:
                raise ComparisonError(
                    f"{name} returns other values each time, also in eval mode: it draws random numbers, and cannot be "
                    "compared"
                )

    def _confirmed(self, layers: list[LayerMatch], scales: tuple[float, ...] = (1.0,)) -> bool:
        """Whether the outputs are the same with the weights of these layers carried over, on inputs of these scales."""
        generator = torch.Generator().manual_seed(SEED)
        source = random_state(self.models[0], self.graphs[0], generator)
        try:
            target = carried(layers, source, self._own(), self.constants[1])
        except ComparisonError as misfit:
            self.reason = Difference("sharing", "", "", str(misfit))
            return False
        return all(self._agree(source, target, scale, generator) for scale in scales)

    def _agree(self, source: State, target: State, scale: float, generator: torch.Generator) -> bool:
        inputs = [torch.randn(BATCH, *size, generator=generator, dtype=torch.float64) * scale for size in self.sizes]
        pairs = zip(self.models, (source, target), strict=True)
        outputs = [tree_flatten(run(model, state, inputs))[0] for model, state in pairs]
        self.error = _error(*outputs)
        return self.error is not None and self.error <= TOLERANCE

    def _own(self) -> State:
        own: State = {}
        for name, tensor in tensors_of(self.models[1]).items():
            dtype = torch.float64 if tensor.is_floating_point() else tensor.dtype
            values = torch.ones_like(tensor, device="cpu") if tensor.is_meta else tensor.detach().cpu()
            own[name] = values.to(dtype)
        return own

    def _constants_equal(self, layers: list[LayerMatch]) -> bool:
        tensors = [tensors_of(model) for model in self.models]
        for layer in layers:
            for role, weight in layer.steps[0].weights.items():
                other = layer.steps[1].weights[role]
                fixed = (weight.name in self.constants[0]) + (other.name in self.constants[1])
                if fixed and not _equal_constants(tensors[0][weight.name], tensors[1][other.name], fixed):
                    text = f"{weight.name} and {other.name} have other values"
                    self.reason = Difference("constant", layer.steps[0].module, layer.steps[1].module, text)
                    return False
        return True

    def _unused(self) -> list[str]:
        """What was not compared: weights that eval mode does not use."""
        notes = []
        for model, graph, which in zip(self.models, self.graphs, ("first", "second"), strict=True):
            parameters = {name for name, _ in model.named_parameters()} - graph.used
            parts = sorted({name.rpartition(".")[0] or name for name in parameters})
            if parts:
                more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
                notes.append(
                    f"not compared, for eval mode does not use it in the {which}: {', '.join(parts[:3])}{more}"
                )
        return notes


def _equal_constants(first: Tensor, second: Tensor, fixed: int) -> bool:
    if fixed < 2 or first.shape != second.shape:
        return False
    return first.is_meta or second.is_meta or torch.equal(first.detach().cpu(), second.detach().cpu())


def _error(first: list[Any], second: list[Any]) -> float | None:
    """The largest difference of two lists of outputs, as a share of their norm; None where it is not finite."""
    if len(first) != len(second):
        return None
    largest = 0.0
    for x, y in zip(first, second, strict=True):
        if not isinstance(x, Tensor) or not isinstance(y, Tensor) or x.shape != y.shape:
            return None
        scale = float(x.double().norm())
        if not scale < float("inf"):
            raise ComparisonError("the outputs are not finite with random weights: the networks cannot be compared")
        difference = float((x.double() - y.double()).norm()) / max(scale, 1e-300)
        if not difference < float("inf"):  # NaN too, which no comparison would find to be larger
            return None
        largest = max(largest, difference)
    return largest


def _permutation(layer: LayerMatch) -> Permutation:
    a, b = (next(iter(step.weights.values())).name.rpartition(".")[0] for step in layer.steps)
    inputs = None if layer.inputs is None else tuple(layer.inputs[1].tolist())
    return Permutation(a, b, tuple(layer.outputs[1].tolist()), inputs)


def _in_order(a: Ordered, b: Ordered) -> list[LayerMatch] | None:
    """The layers of both networks one after another, if they have weights of the same shapes."""
    layers = []
    pair = [[step for step in map(side.__getitem__, range(len(side))) if step.weights] for side in (a, b)]
    if len(pair[0]) != len(pair[1]):
        return None
    for x, y in zip(*pair, strict=True):
        if x.form != y.form or x.count != y.count or x.is_product != y.is_product:
            return None
        if any(_numel(x, role) != _numel(y, role) for role in x.weights):
            return None
        outputs = np.arange(x.count)
        inputs = np.arange(len(x.reads[0])) if x.is_product else None
        if inputs is not None and len(y.reads[0]) != len(inputs):
            return None
        layers.append(LayerMatch((x, y), (outputs, outputs), None if inputs is None else (inputs, inputs)))
    return layers


def _numel(step: Any, role: str) -> int:
    shape = step.weights[role].shape
    product = 1
    for side in shape:
        product *= side
    return product


def _training(ordered: Ordered) -> list[Mapping[str, Any]]:
    """Momenta and dropout rates, in order among the layers with weights."""
    steps = (ordered[place] for place in range(len(ordered)))
    return [{"kind": step.is_product or step.kind, **step.training} for step in steps if step.training or step.weights]
