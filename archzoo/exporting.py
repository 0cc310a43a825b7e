"""Export to ONNX and to torch.export's .pt2 files, checked against the original network."""

import copy
import warnings
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archzoo.errors import ArchzooError, ExportError, MissingDependency
from archzoo.escaping import one_line
from archzoo.files import atomic_write, check_writable
from archzoo.layers import device_of, evaluation_mode
from archzoo.options import shown
from archzoo.restoring import copy_to_run, process_restored

Format = Literal["onnx", "pt2"]
Function = Callable[[Tensor], Tensor]  # images (N, C, H, W) to logits (N, num_classes)
LARGEST = 1 << 30  # numbers in the example batch
TOLERANCE = 1e-4  # relative to the norm of the logits


def export(net: nn.Module, path: str | Path, to: Format, input_size: Sequence[int], batch: int = 2) -> float:
    """Write a network in eval mode to a file that takes any number of images. Return its relative error.

    ``to`` is "onnx" (torch.onnx, needs the extra "onnx") or "pt2" (torch.export). ``input_size`` is (channels, height,
    width) in pixels, ``batch`` the number of images to trace with, at least 2. A network on an accelerator is exported
    from a copy on the CPU, so that the file runs on any machine. The file is read back and run on two
    batches of random images. It is kept only if the norm of the difference of its logits is within 1e-4 of the norm
    of the network's.

    Raises ExportError if the network cannot be traced or written or the file computes something else, InputError if
    ``input_size`` does not fit the network, OutputError if the path cannot be written, and MissingDependency without
    the extra.
    """
    if not isinstance(to, str) or to not in WRITERS:
        raise ExportError(f"to must be {' or '.join(map(repr, WRITERS))}, not {shown(to)}")
    if not _is_count(batch) or batch < 2:
        given = shown(batch)
        raise ExportError(f"the example batch must be at least 2, not {given}: one image would be taken for a constant")
    _check_size(input_size, batch)
    target = Path(path)
    check_writable(target)
    net = copy_to_run(net) if device_of(net).type in ("cpu", "meta") else copy.deepcopy(net).cpu()
    images = _random_images(net, (batch, *input_size))
    try:
        with process_restored(), evaluation_mode(net), atomic_write(target) as partial:
            _check_that_it_runs(net, images)
            WRITERS[to](net, images, partial)
            error = _error_of_file(net, READERS[to], partial, images)
            if not error <= TOLERANCE:
                raise ExportError(
                    f"the exported network is {error:.1e} from the original, more than {TOLERANCE:.0e}: not kept"
                )
    except OSError as failure:
        raise ExportError(f"could not write {target}: {failure}") from failure
    return error


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0


def _check_size(input_size: Any, batch: int) -> None:
    sides = input_size if isinstance(input_size, Sequence) else ()
    if len(sides) != 3 or not all(map(_is_count, sides)):
        raise ExportError(
            f"input_size must be (channels, height, width), such as (3, 224, 224), not {shown(input_size)}"
        )
    if batch * prod(sides) > LARGEST:
        size = "x".join(map(str, sides))
        raise ExportError(f"{shown(batch)} images of {shown(size)} have more than {LARGEST:,} numbers: give fewer")


def _random_images(net: nn.Module, shape: Sequence[int]) -> Tensor:
    """Normally distributed images in the dtype and on the device of the network."""
    images = torch.randn(*shape, generator=torch.Generator().manual_seed(0), device="cpu")
    parameter = next(net.parameters(), None)
    return images if parameter is None else images.to(parameter)


def _check_that_it_runs(net: nn.Module, images: Tensor) -> None:
    """Raise InputError for images that do not fit, which tracing would not, and ExportError for all other errors."""
    try:
        with torch.no_grad():
            net(images)
    except ArchzooError:
        raise
    except Exception as error:  # of the network's own code
        size = "x".join(map(str, images.shape[1:]))
        reason = f"{type(error).__name__}: {one_line(str(error), 300)}"
        raise ExportError(f"the network does not run on images of {size}: {reason}") from error


def _error_of_file(net: nn.Module, read: Callable[[Path], Function], path: Path, images: Tensor) -> float:
    """The largest relative error of what was written, on the images and on twice as many."""
    try:
        exported = read(path)
        return max(_relative_error(net, exported, batch) for batch in (images, torch.cat([images, images])))
    except (ArchzooError, OSError):
        raise
    except Exception as error:  # of torch.export or onnxruntime
        reason = f"{type(error).__name__}: {one_line(str(error), 300)}"
        raise ExportError(f"the exported network cannot be run: {reason}") from error


def _relative_error(net: nn.Module, exported: Function, images: Tensor) -> float:
    with torch.no_grad():
        expected = net(images)
    return float((exported(images) - expected).norm() / expected.norm())


def _trace(net: nn.Module, images: Tensor) -> torch.export.ExportedProgram:
    dynamic = {0: torch.export.Dim("batch", min=1, max=4096)}
    try:
        return torch.export.export(net, (images,), dynamic_shapes=(dynamic,))
    except Exception as error:  # torch.export raises errors of many classes
        raise ExportError(f"the network cannot be traced: {str(error).splitlines()[0]}") from error


def _write_pt2(net: nn.Module, images: Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No complete tensor found")  # raised for complete channels_last weights
        torch.export.save(_trace(net, images), path)


def _read_pt2(path: Path) -> Function:
    module = torch.export.load(path).module()

    def run(images: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = module(images)
        return logits

    return run


def _write_onnx(net: nn.Module, images: Tensor, path: Path) -> None:
    _onnxruntime()
    traced = _trace(net, images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own parts
        program = torch.onnx.export(traced, dynamo=True, input_names=["images"], output_names=["logits"], verbose=False)
    assert program is not None
    program.save(path, external_data=False)


def _read_onnx(path: Path) -> Function:
    session = _onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: torch.from_numpy(session.run(None, {name: images.cpu().numpy()})[0]).to(images)


def _onnxruntime() -> Any:
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingDependency(f"{error.name} is not installed: pip install 'archzoo[onnx]'") from error
    return onnxruntime


WRITERS: dict[str, Callable[[nn.Module, Tensor, Path], None]] = {"onnx": _write_onnx, "pt2": _write_pt2}
READERS: dict[str, Callable[[Path], Function]] = {"onnx": _read_onnx, "pt2": _read_pt2}
