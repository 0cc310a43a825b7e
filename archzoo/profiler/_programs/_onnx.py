"""Graphs of ONNX."""

import ast
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.errors import MissingDependency, ProfileError
from archzoo.profiler._programs._onnx_operators import DTYPES, RULES
from archzoo.profiler._programs._parts import UNREADABLE, Builder, Env, Program, Scope, Step
from archzoo.profiler._shapes import META

FEW = 1024  # elements of an initializer whose values may be a shape
STATISTICS = {"BatchNormalization": (3, 4)}  # inputs that are no parameters
SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"


def read_onnx(path: Path) -> Program:
    """The network in an ONNX file. Raises ProfileError for any other file, MissingDependency without onnx."""
    try:
        import onnx
    except ImportError as error:
        raise MissingDependency("onnx is not installed: pip install 'archzoo[onnx]'") from error
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf raises errors of many classes
        raise ProfileError(f"{path} cannot be read as ONNX: {type(error).__name__}: {error}") from error
    if not graph.node:
        raise ProfileError(f"{path} has no graph of ONNX")
    try:
        return _read(onnx, graph)
    except (ProfileError, MissingDependency):
        raise
    except UNREADABLE as error:
        raise ProfileError(f"the graph in {path} cannot be read: {type(error).__name__}: {error}") from error


def _read(onnx: Any, graph: Any) -> Program:
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in initializers]
    steps = [_step(onnx, node) for node in graph.node]
    names = [value.name for value in inputs]
    builder = Builder(_root_kind(graph), steps, names, [value.name for value in graph.output])
    statistics = {
        node.input[position] for node in graph.node for position in STATISTICS.get(node.op_type, ()) if node.input
    }
    for name, initializer in initializers.items():
        _add(onnx, builder, name, initializer, name in statistics)
    sizes = [_input(onnx, value) for value in inputs]
    return Program(builder.finish(), sizes[0] if len(sizes) == 1 else sizes)


def _step(onnx: Any, node: Any) -> Step:
    rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    attributes = {attribute.name: _attribute(onnx, attribute) for attribute in node.attribute}
    if node.op_type == "Constant":
        value = torch.as_tensor(next(iter(attributes.values())))
        return Step(lambda env: [value], (), tuple(node.output), _scopes(node))
    if rule is None:
        known = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        raise ProfileError(f"the operator {known} of ONNX has no rule: profile the module itself")
    reads, writes = tuple(node.input), tuple(node.output)

    def run(env: Env) -> Any:
        out = rule(attributes, *(env[name] if name else None for name in reads))
        return out if isinstance(out, list | tuple) else [out]

    return Step(run, tuple(filter(None, reads)), writes, _scopes(node))


def _attribute(onnx: Any, attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return _values(onnx, value)
    if isinstance(value, bytes):
        return value.decode()
    return list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value


def _values(onnx: Any, tensor: Any) -> Tensor:
    return torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())


def _add(onnx: Any, builder: Builder, name: str, initializer: Any, is_statistic: bool) -> None:
    """Add an initializer: what may be a shape or a number with its values, any other as a parameter or buffer."""
    dtype, shape = DTYPES.get(initializer.data_type), list(initializer.dims)
    if dtype is None:
        raise ProfileError(f"{name} has the data type {initializer.data_type} of ONNX, which torch lacks")
    is_external = initializer.data_location == onnx.TensorProto.EXTERNAL
    if (not dtype.is_floating_point or not shape) and torch.Size(shape).numel() <= FEW and not is_external:
        builder.constants[name] = _values(onnx, initializer)
        return
    tensor = torch.empty(shape, dtype=dtype, device=META)
    builder.add_tensor(name, name, nn.Parameter(tensor) if dtype.is_floating_point and not is_statistic else tensor)


def _input(onnx: Any, value: Any) -> Any:
    """A size without the batch, if the batch is free; an example tensor of the only shape that the graph takes."""
    kind = value.type.tensor_type
    sides = [side.dim_value if side.HasField("dim_value") else None for side in kind.shape.dim]
    dtype = DTYPES.get(kind.elem_type)
    if dtype is None or any(side is None for side in sides[1:]):
        spelled = "x".join("?" if side is None else str(side) for side in sides)
        raise ProfileError(f"the input {value.name} has the shape {spelled}: export with sides that are known")
    if sides and sides[0] is None:
        if dtype.is_floating_point and len(sides) > 1:
            return tuple(sides[1:])
        sides[0] = 1
    return torch.empty([side or 0 for side in sides], dtype=dtype, device=META)


def _scopes(node: Any) -> tuple[Scope, ...]:
    """The modules around a node, as torch's exporter notes them."""
    notes = {entry.key: entry.value for entry in node.metadata_props}
    try:
        names, kinds = ast.literal_eval(notes[SCOPES]), ast.literal_eval(notes[CLASSES])
        pairs = list(zip(names, kinds, strict=True))[:-1]  # the last is the node
        return tuple((str(name), str(kind)) for name, kind in pairs if name)
    except (KeyError, ValueError, SyntaxError, TypeError):  # of another exporter
        return ()


def _root_kind(graph: Any) -> str:
    for node in graph.node:
        for entry in node.metadata_props:
            if entry.key == CLASSES:
                try:
                    return str(ast.literal_eval(entry.value)[0])
                except (ValueError, SyntaxError, IndexError):
                    break
    return graph.name if str(graph.name).isidentifier() else "Module"
