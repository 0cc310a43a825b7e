"""Programs of torch.export: the graph of a .pt2 file, which is JSON in an archive. Its pickles are not opened.

The format is that of torch/_export/serde/schema.py. A value is a union, an object with one key that names its type.
"""

import json
import math
import operator
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.errors import ProfileError
from archzoo.options import shown
from archzoo.profiler._programs._parts import UNREADABLE, Builder, Env, Name, Program, Scope, Step, names_in, resolve
from archzoo.profiler._shapes import META

GRAPH = re.compile(r"(?:.*/)?(?:models/[^/]+\.json|serialized_exported_program\.json)")
LARGEST = 2**30  # bytes of a graph's JSON
DTYPES = dict(
    enumerate(
        (
            *(None, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32),
            *(torch.float64, torch.complex32, torch.complex64, torch.complex128, torch.bool, torch.bfloat16),
        )
    )
)
FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format}
LITERALS = {"as_int", "as_ints", "as_float", "as_floats", "as_string", "as_strings", "as_bool", "as_bools"}
WITHOUT_EFFECT = ("_assert_", "sym_constrain_", "_functional_assert")  # operators that only check sizes


def read_pt2(path: Path) -> Program:
    """The network in a .pt2 file. Raises ProfileError for any other file."""
    try:
        return _read(_json_of(path))
    except ProfileError:
        raise
    except (*UNREADABLE, zipfile.BadZipFile, zlib.error) as error:
        raise ProfileError(f"{path} is not a program of torch.export: {type(error).__name__}: {error}") from error


def _json_of(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = [entry for entry in archive.infolist() if GRAPH.fullmatch(entry.filename)]
        if len(names) != 1:
            raise ProfileError(f"{path} has {len(names)} graphs of torch.export, not 1")
        if names[0].file_size > LARGEST:
            raise ProfileError(f"the graph in {path} has {names[0].file_size:,} bytes, more than {LARGEST:,}")
        program: Any = json.loads(archive.read(names[0]))
    return program.get("exported_program", program)


def _read(program: Any) -> Program:
    graph, signature = program["graph_module"]["graph"], program["graph_module"]["signature"]
    inputs = [spec["user_input"]["arg"] for spec in signature["input_specs"] if "user_input" in spec]
    names = [value.name for value in map(_argument, inputs) if isinstance(value, Name)]
    outputs = [spec["user_output"]["arg"] for spec in signature["output_specs"] if "user_output" in spec]
    steps = [step for step in map(_step, graph["nodes"]) if step is not None]
    builder = Builder(_root_kind(graph["nodes"]), steps, names, [*names_in([_argument(arg) for arg in outputs])])
    for spec in signature["input_specs"]:
        for kind, name in (("parameter", "parameter_name"), ("buffer", "buffer_name")):
            if kind in spec:
                value = spec[kind]["arg"]["name"]
                described = graph["tensor_values"][value]
                tensor = _tensor(described)
                is_parameter = kind == "parameter"
                builder.add_tensor(
                    spec[kind][name],
                    value,
                    nn.Parameter(tensor, described["requires_grad"]) if is_parameter else tensor,
                )
        if "tensor_constant" in spec:
            value = spec["tensor_constant"]["arg"]["name"]
            builder.constants[value] = _tensor(graph["tensor_values"][value])
    sizes = [_input(graph["tensor_values"][name]) for name in names]
    return Program(builder.finish(), sizes[0] if len(sizes) == 1 else sizes)


def _step(node: Any) -> Step | None:
    target: str = node["target"]
    if any(part in target for part in WITHOUT_EFFECT):
        return None
    function = _function(target)
    named = {argument["name"]: _argument(argument["arg"]) for argument in node["inputs"]}
    positional = [_argument(argument["arg"]) for argument in node["inputs"]]
    writes = tuple(names_in([_argument(output) for output in node["outputs"]]))
    by_name = isinstance(function, torch._ops.OpOverload)

    def run(env: Env) -> Any:
        if by_name:
            out = function(**{name: resolve(value, env) for name, value in named.items()})
        else:
            out = function(*(resolve(value, env) for value in positional))
        return out if isinstance(out, list | tuple) else [out]

    return Step(run, tuple(names_in(positional)), writes, _scopes(node["metadata"]))


def _function(target: str) -> Any:
    """The operator or the function of arithmetic that a node calls; nothing else is called."""
    operator_of = re.fullmatch(r"torch\.ops\.(aten|prims)\.(\w+)\.(\w+)", target)
    if operator_of:
        packet = getattr(getattr(torch.ops, operator_of[1]), operator_of[2], None)
        overload = getattr(packet, operator_of[3], None)
        if overload is not None:
            return overload
    arithmetic = re.fullmatch(r"(_operator|math)\.(\w+)", target)
    if arithmetic:
        function = getattr(operator if arithmetic[1] == "_operator" else math, arithmetic[2], None)
        if function is not None:
            return function
    raise ProfileError(f"a graph that calls {shown(target)} cannot be profiled: profile the module itself")


def _argument(union: Any) -> Any:
    """An argument of a node: a value, or the name of one."""
    ((kind, value),) = union.items()
    if kind in LITERALS:
        return float(value) if kind == "as_float" else value
    if kind == "as_none":
        return None
    if kind == "as_tensor":
        return Name(value["name"])
    if kind == "as_tensors":
        return [Name(tensor["name"]) for tensor in value]
    if kind == "as_name":
        return Name(value)
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool", "as_optional_tensor"):
        return _argument(value)
    if kind in ("as_sym_ints", "as_sym_floats", "as_sym_bools", "as_optional_tensors"):
        return [_argument(inner) for inner in value]
    if kind == "as_scalar_type":
        return DTYPES[value]
    if kind == "as_memory_format":
        return FORMATS[value]
    if kind == "as_device":
        return META
    if kind == "as_layout":
        return torch.strided
    raise ProfileError(f"a graph with an argument of type {shown(kind)} cannot be profiled: profile the module itself")


def _tensor(meta: Any) -> Tensor:
    """A meta tensor of this description; symbolic sides have the length of the example."""
    return torch.empty([_side(side) for side in meta["sizes"]], dtype=DTYPES[meta["dtype"]], device=META)


def _side(side: Any) -> int:
    length: int = side["as_int"] if "as_int" in side else side["as_expr"]["hint"]["as_int"]
    return length


def _input(meta: Any) -> Any:
    """A size without the batch, if the batch is free; an example tensor of the only shape that the graph takes."""
    tensor = _tensor(meta)
    free = tensor.dim() > 1 and "as_expr" in meta["sizes"][0] and tensor.is_floating_point()
    return tuple(tensor.shape[1:]) if free else tensor


def _scopes(metadata: Any) -> tuple[Scope, ...]:
    """The modules around a node, from "key,name,class;key,name,class"."""
    scopes = []
    for item in filter(None, metadata.get("nn_module_stack", "").split(";")):
        _, name, kind = item.split(",", 2)
        name = re.sub(r"@\d+$", "", name.removeprefix("L['self']").removeprefix("."))
        if name:
            scopes.append((name, kind))
    return tuple(scopes)


def _root_kind(nodes: Any) -> str:
    for node in nodes:
        for item in filter(None, node["metadata"].get("nn_module_stack", "").split(";")):
            return str(item.split(",", 2)[2])
    return "Module"
