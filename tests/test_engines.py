"""Networks that an engine runs: the same function, any batch, clear errors where the engine cannot be used."""

import copy
import sys
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import nn

from archzoo.errors import BadOption, DeviceError, ExportError, InputError, MissingDependency
from archzoo.inference import EngineNetwork, optimize
from archzoo.inference import _engines as engines

ENGINES = [
    pytest.param(engine, marks=pytest.mark.skipif(find_spec(engine) is None, reason=f"{engine} is not installed"))
    for engine in ("onnxruntime", "openvino")
]


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter and the engines
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_computes_the_same_for_any_batch_size_and_number_of_threads(engine: Any) -> None:
    net = tiny().eval()
    fast = optimize(net, engine=engine)
    threads = torch.get_num_threads()
    with torch.no_grad():
        for batch in (1, 5):
            images = torch.randn(batch, 3, 8, 8)
            torch.testing.assert_close(fast(images), net(images), atol=1e-4, rtol=1e-4)
        assert isinstance(fast, EngineNetwork)
        assert [count for _, count in fast.runs] == [threads]
        torch.testing.assert_close(fast(images.double()), net(images), atol=1e-4, rtol=1e-4)
    assert copy.deepcopy(fast).runs == {}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An engine of torch's own: no export, and a list of the threads that each was built for."""
    built: list[int] = []

    def run_torch(path: Any, threads: int, dtype: torch.dtype | None) -> Any:
        built.append(threads)
        return lambda images: NETS[0](images)

    NETS: list[nn.Module] = [tiny().eval().requires_grad_(False)]  # noqa: N806
    monkeypatch.setattr(engines, "export", lambda net, path, to, size: 0.0)
    monkeypatch.setattr(engines, "import_package", lambda name, engine: None)
    monkeypatch.setitem(engines.RUNS, "onnxruntime", run_torch)
    return built


def test_an_engine_is_built_once_for_each_size_and_number_of_threads(
    runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = optimize(tiny(), engine="onnxruntime")
    for batch, side in ((1, 8), (4, 8), (2, 9)):
        assert fast(torch.randn(batch, 3, side, side)).shape == (batch, 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    fast(torch.randn(1, 3, 8, 8))
    assert runs[2:] == [7]
    for side in range(10, 30):
        fast(torch.randn(1, 3, side, side))
    assert isinstance(fast, EngineNetwork)
    assert len(fast.runs) == engines.SIZES


def test_an_engine_that_computes_something_else_is_refused(runs: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(path: Any, threads: int, dtype: torch.dtype | None) -> Any:
        return lambda images: 2 * tiny().eval().requires_grad_(False)(images)

    monkeypatch.setitem(engines.RUNS, "onnxruntime", wrong)
    with pytest.raises(ExportError, match=r"onnxruntime computes something else: 1\.0e\+00"):
        optimize(tiny(), engine="onnxruntime")(torch.randn(1, 3, 8, 8))


def test_images_that_an_engine_cannot_take_are_refused(runs: list[int]) -> None:
    fast = optimize(tiny(), engine="onnxruntime")
    with pytest.raises(DeviceError, match="onnxruntime runs on the CPU, and the images are on meta"):
        fast(torch.randn(1, 3, 8, 8, device="meta"))
    for shape in ((3, 8, 8), (0, 3, 8, 8)):
        with pytest.raises(InputError, match="expected images"):
            fast(torch.randn(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"engine": "tensorrt"}, "engine must be 'onnxruntime', 'openvino' or None, not 'tensorrt'"),
        ({"engine": "onnxruntime", "dtype": torch.bfloat16}, "onnxruntime computes in float32, not torch.bfloat16"),
        ({"engine": "openvino", "dtype": torch.float64}, "float32 or torch.bfloat16, not torch.float64"),
        ({"engine": "onnxruntime", "compile": "freeze"}, "compile must be None, not 'freeze'"),
        ({"engine": "onnxruntime", "device": "meta"}, "device must be None or 'cpu', not 'meta'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        optimize(tiny(), **arguments)


@pytest.mark.parametrize(("engine", "extra"), [("onnxruntime", "onnx"), ("openvino", "openvino")])
def test_an_engine_that_is_not_installed_is_named(engine: Any, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("onnx", "onnxruntime", "onnxscript"):
        monkeypatch.setitem(sys.modules, package, nn)
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(MissingDependency, match=rf"{engine} is not installed: pip install 'archzoo\[{extra}\]'"):
        optimize(tiny(), engine=engine)


def test_bfloat16_is_refused_where_the_processor_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "has_bfloat16_instructions", lambda: False)
    with pytest.raises(BadOption, match="this processor has no bfloat16 instructions"):
        optimize(tiny(), engine="openvino", dtype=torch.bfloat16)
