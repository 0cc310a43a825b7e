"""Networks that run in onnxruntime or OpenVINO behind the same call."""

import copy
import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archzoo.errors import BadOption, DeviceError, ExportError, InputError, MissingDependency
from archzoo.exporting import TOLERANCE, export
from archzoo.inference._fused_forward import has_bfloat16_instructions
from archzoo.options import shown

Engine = Literal["onnxruntime", "openvino"]
Run = Callable[[Tensor], Tensor]  # images (N, C, H, W) on the CPU to what the network returns
SIZES = 8  # of images, for which an engine is kept
BFLOAT16_TOLERANCE = 5e-2


class EngineNetwork(nn.Module):
    """A network that an engine runs on the CPU, for any number of images, with as many threads as torch has.

    The engine is built at the first images of each size (C, H, W), and checked against the network. ``net`` is the
    original in eval mode.
    """

    def __init__(self, net: nn.Module, engine: Engine, dtype: torch.dtype | None) -> None:
        super().__init__()
        check_engine(engine, dtype)
        self.net = copy.deepcopy(net).cpu().float().eval().requires_grad_(False)
        self.engine, self.dtype = engine, dtype
        self.runs: dict[tuple[tuple[int, ...], int], Run] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"runs": {}}  # a session cannot be copied

    def forward(self, images: Tensor) -> Tensor:
        if images.device.type != "cpu":
            raise DeviceError(f"{self.engine} runs on the CPU, and the images are on {images.device}: use images.cpu()")
        if images.dim() != 4 or not len(images):
            raise InputError(f"expected images (N, C, H, W), not a tensor of shape {tuple(images.shape)}")
        size, threads = tuple(images.shape[1:]), torch.get_num_threads()
        if (size, threads) not in self.runs:
            while len(self.runs) >= SIZES:
                del self.runs[next(iter(self.runs))]
            self.runs[size, threads] = self.build(size, threads)
        return self.runs[size, threads](images.detach().float().contiguous())

    def build(self, size: tuple[int, ...], threads: int) -> Run:
        """The engine for images of one size. Raises ExportError where it computes something else."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "net.onnx")
            export(self.net, path, "onnx", size)
            run = RUNS[self.engine](path, threads, self.dtype)
            images = torch.randn(3, *size, generator=torch.Generator().manual_seed(0), device="cpu")
            with torch.no_grad():
                expected = self.net(images)
            error = float((run(images) - expected).norm() / expected.norm())
        tolerance = TOLERANCE if self.dtype in (None, torch.float32) else BFLOAT16_TOLERANCE
        if not error <= tolerance:
            raise ExportError(f"{self.engine} computes something else: {error:.1e} from the network for {size} images")
        return run

    def extra_repr(self) -> str:
        return f"engine={self.engine!r}"


def check_engine(engine: str, dtype: torch.dtype | None) -> None:
    """Raise BadOption or MissingDependency where an engine cannot be used."""
    if not isinstance(engine, str) or engine not in RUNS:
        raise BadOption(f"engine must be {', '.join(map(repr, RUNS))} or None, not {shown(engine)}")
    if dtype not in (None, torch.float32) and (engine, dtype) != ("openvino", torch.bfloat16):
        raise BadOption(f"{engine} computes in float32{BFLOAT16[engine]}, not {dtype}")
    if dtype == torch.bfloat16 and not has_bfloat16_instructions():
        raise BadOption("this processor has no bfloat16 instructions: dtype must be None or torch.float32")
    for package in dict.fromkeys(("onnx", "onnxruntime", "onnxscript", engine)):
        import_package(package, engine)


def import_package(name: str, engine: str) -> Any:
    """A package that an engine needs."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        extra = "openvino" if engine == "openvino" else "onnx"
        raise MissingDependency(f"{name} is not installed: pip install 'archzoo[{extra}]'") from error


def run_onnxruntime(path: Path, threads: int, dtype: torch.dtype | None) -> Run:
    """A session of onnxruntime."""
    onnxruntime = import_package("onnxruntime", "onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def run_openvino(path: Path, threads: int, dtype: torch.dtype | None) -> Run:
    """A compiled model of OpenVINO."""
    openvino = import_package("openvino", "openvino")
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
    }
    request = openvino.compile_model(openvino.Core().read_model(path), "CPU", settings).create_infer_request()
    return lambda images: torch.from_numpy(request.infer([images.numpy()])[0].copy())


BFLOAT16 = {"onnxruntime": "", "openvino": " or torch.bfloat16"}
RUNS: dict[str, Callable[[Path, int, torch.dtype | None], Run]] = {
    "onnxruntime": run_onnxruntime,
    "openvino": run_openvino,
}
