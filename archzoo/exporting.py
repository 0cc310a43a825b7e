"""Networks for other runtimes: ONNX, and torch.export's own files, checked against the network that they came from."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archzoo.errors import ExportError
from archzoo.files import atomic_write

Format = Literal["onnx", "pt2"]
NEAR = 1e-4


def export(net: nn.Module, path: str | Path, to: Format, input_size: Sequence[int], batch: int = 2) -> float:
    """Write a network in evaluation mode to a file, for any number of images; how far it is from the original.

    ``to`` is "onnx" (by torch.onnx, needs the extra "onnx") or "pt2" (by torch.export). ``input_size`` is (channels,
    height, width). The file is read back and run on two batches of random images: it is kept only if its logits are
    within 1e-4 of the network's, relative to their norm. Raises ExportError.
    """
    if to not in WRITE:
        raise ExportError(f"to must be {' or '.join(map(repr, WRITE))}, not {to!r}")
    if batch < 2:
        raise ExportError(f"the example batch must be at least 2, not {batch}: one image would be taken for a constant")
    target = Path(path)
    if not target.parent.is_dir():
        raise ExportError(f"could not write {target}: there is no folder {target.parent}")
    images = torch.randn(batch, *input_size, generator=torch.Generator().manual_seed(0))
    for parameter in net.parameters():
        images = images.to(parameter)
        break
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.no_grad():
            net(images)  # images that do not fit are refused in words, as tracing would not
        with atomic_write(target) as part:
            WRITE[to](net, images, part)
            off = max(_distance(net, READ[to](part), torch.cat([images] * times)) for times in (1, 2))
            if not off <= NEAR:
                raise ExportError(
                    f"the exported network is {off:.1e} from the original, more than {NEAR:.0e}: not kept"
                )
    except OSError as error:
        raise ExportError(f"could not write {target}: {error}") from error
    finally:
        for module, training in modes.items():
            module.training = training
    return off


def _distance(net: nn.Module, other: Callable[[Tensor], Tensor], images: Tensor) -> float:
    with torch.no_grad():
        expected = net(images)
    return float((other(images) - expected).norm() / expected.norm())


def _dynamic() -> dict[int, Any]:
    return {0: torch.export.Dim("batch", min=1, max=4096)}


def _traced(net: nn.Module, images: Tensor) -> torch.export.ExportedProgram:
    try:
        return torch.export.export(net, (images,), dynamic_shapes=(_dynamic(),))
    except Exception as error:  # torch.export raises many kinds
        raise ExportError(f"the network cannot be traced: {str(error).splitlines()[0]}") from error


def _write_pt2(net: nn.Module, images: Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No complete tensor found")  # of weights in channels_last, which are whole
        torch.export.save(_traced(net, images), path)


def _read_pt2(path: Path) -> Callable[[Tensor], Tensor]:
    module = torch.export.load(path).module()

    def run(images: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = module(images)
        return logits

    return run


def _write_onnx(net: nn.Module, images: Tensor, path: Path) -> None:
    _onnxruntime()
    program = _traced(net, images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own parts
        made = torch.onnx.export(program, dynamo=True, input_names=["images"], output_names=["logits"], verbose=False)
    assert made is not None
    made.save(path, external_data=False)


def _read_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    session = _onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: torch.from_numpy(session.run(None, {name: images.cpu().numpy()})[0]).to(images)


def _onnxruntime() -> Any:
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(f"{error.name} is not installed: pip install 'archzoo[onnx]'") from error
    return onnxruntime


WRITE: dict[str, Callable[[nn.Module, Tensor, Path], None]] = {"onnx": _write_onnx, "pt2": _write_pt2}
READ: dict[str, Callable[[Path], Callable[[Tensor], Tensor]]] = {"onnx": _read_onnx, "pt2": _read_pt2}
