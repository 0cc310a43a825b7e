"""Rows of benchmarks/gpu.py about memory: the memory-efficient DenseNet, ``memory(device="cuda")`` and ``fits``."""

import copy
import math
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from gpu_bench import BareStep, Bench, Measured, Measurements, captured, cudnn_benchmark, guarded, note, placed
from torch import Tensor, nn

import archzoo
from archzoo.profiler import OPTIMIZERS, memory
from archzoo.profiler._memory_setup import Conditions
from archzoo.profiler._runs import Runs

OFF = 0.02  # bar: what ``memory`` may be off by
DOUBT = 0.03  # what ``fits`` says of itself
MEMORY_CASES: tuple[tuple[str, int, bool], ...] = (  # a network, its batch, whether in bfloat16 and channels_last
    *((name, 32, False) for name in ("resnet18", "resnet50", "densenet121", "googlenet")),
    *((name, 64, False) for name in ("densenet_bc", "shufflenet_v2_x1_0", "preact_resnet164")),
    ("vgg_d", 16, False),
    *((name, 64, True) for name in ("resnet50", "densenet121", "vgg_d", "squeezenet1_1", "wide_resnet_28_10")),
)
GRAPHED = (("resnet20", 128), ("resnet50", 64))
DRAWING = (("fractalnet20", 64), ("stochastic_depth_110", 64))
FITTING = (  # 30 networks and their batches
    *((name, 256) for name in ("lenet5", "nin", "resnet20", "resnet56", "all_cnn_c", "dsn", "highway_cifar")),
    *((name, 64) for name in ("preact_resnet110", "wide_resnet_16_4", "densenet", "resnext29_8x64d")),
    *((name, 32) for name in ("alexnet", "zfnet", "squeezenet1_0", "squeezenet1_1", "mobilenet_v1_x1_0")),
    *((name, 32) for name in ("mobilenet_v2_x1_0", "shufflenet_v1_g3_x1_0", "shufflenet_v2_x0_5", "resnet18")),
    *((name, 16) for name in ("vgg_a", "vgg_d", "googlenet", "googlenet_bn", "resnet34", "resnet50", "densenet121")),
    *((name, 16) for name in ("se_resnet50", "inception_v3", "wide_resnet50_2")),
)


def peak_of(bench: Bench, step: Callable[[], object]) -> float:
    """Bytes of the second call of a step, as torch counts them; on the CPU, none."""
    step()
    if bench.small:
        step()
        return math.nan
    torch.cuda.reset_peak_memory_stats()
    step()
    return float(torch.cuda.max_memory_allocated())


def efficient_densenet(bench: Bench) -> Measurements:
    """The memory-efficient densenet121 beside the plain one, at batch 128 in bfloat16 and channels_last."""
    name, batch = "densenet121", 2 if bench.small else 128
    yield from guarded("gradients of memory_efficient", exact_gradients(bench))
    BareStep(bench, name, batch, fused=None, memory_efficient=True)()  # Triton compiles
    bench.free()
    yield None
    times, peaks = [], []
    with cudnn_benchmark():
        for memory_efficient in (False, True):
            step = BareStep(bench, name, batch, fused=None, memory_efficient=memory_efficient)
            times.append(bench.seconds(step, 5))
            peaks.append(peak_of(bench, step))
            del step
            bench.free()
    yield Measured(f"{name}, memory_efficient, time", times[1] / times[0], "of the plain one", at_most=1.15)
    ratio = 0.0 if bench.small else peaks[1] / peaks[0]
    yield Measured(f"{name}, memory_efficient, memory", ratio, "of the plain one", at_most=0.35)


def exact_gradients(bench: Bench) -> Iterator[Measured]:
    """The largest difference of a gradient from the plain network's, in double precision."""
    torch.manual_seed(0)
    plain = archzoo.build("densenet_bc", depth=22, k=4).double().to(bench.device)
    efficient = archzoo.build("densenet_bc", depth=22, k=4, memory_efficient=True).double().to(bench.device)
    efficient.load_state_dict(copy.deepcopy(plain.state_dict()))
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64, device=bench.device)
    gradients = [gradients_of(net.train(), images) for net in (plain, efficient)]
    differences = [
        float((ours - theirs).norm() / theirs.norm().clamp(min=1e-30)) for theirs, ours in zip(*gradients, strict=True)
    ]
    yield Measured("memory_efficient, a gradient in float64", max(differences), "off by", at_most=1e-9)


def gradients_of(net: nn.Module, images: Tensor) -> list[Tensor]:
    """Those of all parameters for the sum of the squares of the logits."""
    net(images).square().sum().backward()
    return [parameter.grad for parameter in net.parameters() if parameter.grad is not None]


def predicted_memory(bench: Bench) -> Measurements:
    """``memory(device="cuda")`` against ``max_memory_allocated``: in training, inference, graphs and random paths."""
    yield None
    cases = (("resnet20", 2, False), ("googlenet", 2, True)) if bench.small else MEMORY_CASES
    for name, batch, half in cases:
        kind = "bfloat16" if half else "float32"
        yield from guarded(f"memory of {name}, {kind}", both_phases(bench, name, batch, half=half))
        bench.free()
    for name, batch in GRAPHED[:1] if bench.small else GRAPHED:
        yield from guarded(f"memory of {name} in a CUDA graph", in_graph(bench, name, 2 if bench.small else batch))
        bench.free()
    for name, batch in DRAWING:
        yield from guarded(f"memory of {name}", random_paths(bench, name, 2 if bench.small else batch))
        bench.free()


def ratio(bench: Bench, predicted: float, peak: float) -> float:
    """What is predicted, as a share of the peak; 1 on the CPU, where CUDA's allocator is not."""
    return 1.0 if bench.small else predicted / peak


def within(what: str, value: float, off: float = OFF) -> Measured:
    """A share that is 1 but for a doubt."""
    return Measured(what, value, "of measured", 1 - off, 1 + off)


def blank(bench: Bench, name: str, **options: Any) -> Any:
    """The network on the meta device."""
    return bench.build(name, device="meta", **options)


def both_phases(bench: Bench, name: str, batch: int, *, half: bool) -> Iterator[Measured]:
    """Training and inference of one network."""
    profile = memory(
        blank(bench, name),
        bench.size(name),
        batch=batch,
        device="cuda",
        autocast=torch.bfloat16 if half else None,
        channels_last=half,
    )
    peaks = {"training": peak_of(bench, BareStep(bench, name, batch, half=half, fused=None))}
    bench.free()
    peaks["inference"] = peak_of(bench, inference_of(bench, name, batch, half=half))
    bench.free()
    kind = "bfloat16" if half else "float32"
    for phase, peak in peaks.items():
        share = ratio(bench, getattr(profile, phase), peak)
        yield within(f"{name}, batch {batch}, {kind}: memory in {phase}", share)


def inference_of(bench: Bench, name: str, batch: int, *, half: bool) -> Callable[[], object]:
    """A forward pass in eval mode over one batch that is on the device."""
    net, images = placed(bench, name, batch, half=half)
    net.eval()

    def infer() -> object:
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=half and not bench.small):
            return net(images)

    return infer


def in_graph(bench: Bench, name: str, batch: int) -> Iterator[Measured]:
    """A training step in a CUDA graph, in bfloat16 and channels_last: the peak of its capture."""
    size, conditions = bench.size(name), {"autocast": torch.bfloat16, "channels_last": True, "cuda_graph": True}
    profile = memory(blank(bench, name), size, batch=batch, device="cuda", **conditions)  # type: ignore[arg-type]
    step = BareStep(bench, name, batch, fused=None)
    peak = peak_of(bench, step) if bench.small else captured(step)[1]
    yield within(f"{name}, batch {batch}, bfloat16: memory of a CUDA graph", ratio(bench, profile.training, peak))


def random_paths(bench: Bench, name: str, batch: int) -> Iterator[Measured]:
    """The mean and the largest of many draws of the paths."""
    steps = 1 if bench.small else 128
    expected, worst = (
        memory(blank(bench, name), bench.size(name), batch=batch, device="cuda", draw=draw).training
        for draw in ("expected", "worst")
    )
    step = BareStep(bench, name, batch, half=False, fused=None)
    drawn = [peak_of(bench, step) for _ in range(steps)]
    yield within(
        f"{name}, batch {batch}: expected memory in training", ratio(bench, expected, statistics.mean(drawn)), 0.05
    )
    most = ratio(bench, worst, max(drawn))
    yield Measured(f"{name}, batch {batch}: worst memory in training", most, f"of {2 * steps} draws", 1 - OFF)


def fitting(bench: Bench) -> Measurements:
    """Verdicts of ``fits`` for training steps, against steps of a process that may take so much and no more."""
    yield None
    wrong = count = 0
    for name, batch in FITTING[:3:2] if bench.small else FITTING:
        for fits, room in verdicts(bench, name, 2 if bench.small else batch):
            count += 1
            runs = fits if bench.small else steps_run(bench, name, batch, room)
            wrong += fits != runs
            if fits != runs:
                note(f"fits: {name}, batch {batch}, {room / 2**20:.0f} MiB: {fits} is said, and {runs} is true")
            bench.free()
    yield Measured(f"wrong verdicts of archzoo fits, of {count}", wrong, "", at_most=0)


def verdicts(bench: Bench, name: str, batch: int) -> Iterator[tuple[bool, int]]:
    """Whether a training step fits into more and into less than it needs, and these bytes."""
    model, size = blank(bench, name), bench.size(name)
    runs = Runs(model, size, Conditions("cuda"), OPTIMIZERS["sgd"], 2**62)
    need = runs.result("training", batch)
    for room in (math.ceil(need.reserved * (1 + DOUBT)), math.floor(need.allocated * (1 - DOUBT))):
        yield runs.changed(capacity=room).result("training", batch).fits, room


def steps_run(bench: Bench, name: str, batch: int, room: int) -> bool:
    """Whether three steps run in so many bytes."""
    total = torch.cuda.get_device_properties(bench.device).total_memory
    bench.free()
    torch.cuda.set_per_process_memory_fraction(room / total)
    try:
        step = BareStep(bench, name, batch, half=False, fused=None)
        for _ in range(3):
            step()
        bench.synchronize()
    except torch.cuda.OutOfMemoryError:
        return False
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    return True
