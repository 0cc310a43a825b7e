"""The profiler on timm's models, which nobody here wrote: its counts, its conventions and its memory against others'.

    python benchmarks/timm_sweep.py counts [--out FILE] [--limit N] [--shard I/N] [PATTERN ...]
    python benchmarks/timm_sweep.py conventions --limit 300 [--out FILE] [--tools fvcore,thop]
    python benchmarks/timm_sweep.py memory --limit 100 [--out FILE] [--batch 2]

"counts" compares multiply-adds with torch's FlopCounterMode, both on the meta device. "conventions" compares each
convention with its tool, on the CPU. Attention is computed as matrix products, which fvcore sees. thop goes by the
exact class of a module, and is told to take a subclass of a layer as that layer. It sees no function, and counts a
module again for each place that it has: where its number is the convention's of the modules that it sees, that is
"equal by modules". "memory" compares the peaks of inference and of a training step with what the CPU's allocator hands
out, as ``benchmarks/memory.py`` does.

Models of more than ``--most`` parameters are left out. The order of the models is a fixed shuffle, and ``--limit`` ends
it after so many models. ``--shard 2/4`` is the second quarter of all this, for several processes. With ``--out``, a
model whose result is in the file is not run again: a run can be stopped, or given a ``--budget`` of seconds, and
continued. The summary, in the last line, is that of all results of the shard. Exits with 1 if a count differs from
FlopCounterMode's, or fails where that does not, or if a peak misses the bars of ``benchmarks/memory.py``. timm, fvcore
and thop are in the extra "test".
"""

import argparse
import gc
import importlib
import sys
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from memory import BARS, measured  # benchmarks/memory.py, beside this file
from peers import torchvision
from profile_speed import flop_counter_mode
from result_lines import ResultLines, within
from torch import nn

import archzoo
from archzoo.profiler import CONVENTIONS, Profile, memory

Size = tuple[int, ...]
Compare = Callable[[nn.Module, Size], tuple[str, str]]  # a verdict, and what to print about it
OFF = ("different", "failed", "missed")  # verdicts with which the program exits with 1
LEFT_OUT = ("larger", "not built")


def timm() -> Any:
    """The library, which imports torchvision's operators."""
    torchvision("ops.misc")
    return importlib.import_module("timm")


@contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Every parameter moves to the meta device as soon as it is made: no model is too large, and none is initialized.

    Other tensors stay: models read schedules from them.
    """
    register = nn.Module.register_parameter

    def register_on_meta(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        moved = None if param is None else nn.Parameter(param.to("meta"), param.requires_grad)
        register(self, name, moved)

    nn.Module.register_parameter = register_on_meta  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def build(name: str, most: int, *, real: bool) -> nn.Module | None:
    """A model of timm in eval mode, on the meta device unless ``real``. None for one of too many parameters."""
    try:
        with parameters_on_meta():
            model: nn.Module = timm().create_model(name)
    except (NotImplementedError, RuntimeError):  # it computes from parameters and other tensors while it is made
        with torch.device("meta"):
            model = timm().create_model(name)
    if sum(parameter.numel() for parameter in model.parameters()) > most:
        return None
    return (timm().create_model(name) if real else model.to("meta")).eval()


def counts(model: nn.Module, size: Size) -> tuple[str, str]:
    """Multiply-adds against FlopCounterMode, which needs parameters without gradients in some models."""
    model.requires_grad_(False)
    ours, theirs = attempt(lambda: archzoo.profile(model, size).under("torch")), attempt(lambda: flops(model, size))
    if isinstance(theirs, Exception):
        return ("fails in both", f"{ours}") if isinstance(ours, Exception) else ("counted by us alone", f"{theirs}")
    if isinstance(ours, Exception):
        return "failed", f"{ours}"
    return ("equal", f"{ours:,}") if ours == theirs else ("different", f"{ours:,} for {theirs:,}")


def flops(model: nn.Module, size: Size) -> Any:
    """What FlopCounterMode counts."""
    return flop_counter_mode(model, size)


def conventions(tools: Sequence[str], model: nn.Module, size: Size) -> tuple[str, str]:
    """Each convention against its tool."""
    profile = archzoo.profile(model, size)
    verdicts, remarks = [], []
    for tool in tools:
        theirs = attempt(partial(TOOLS[tool], model, size))
        if isinstance(theirs, Exception):
            verdicts.append(f"{tool} fails")
        elif profile.under(tool) == theirs:
            verdicts.append(f"{tool} equal")
        elif tool == "thop" and by_modules(model, profile) == theirs:
            verdicts.append(f"{tool} equal by modules")
            remarks.append(f"{tool} {profile.under(tool):,}, {profile.under(tool) - theirs:,} of it not of modules")
        else:
            verdicts.append(f"{tool} not")
            remarks.append(f"{tool} {profile.under(tool):,} for {theirs:,}{REASONS.get(tool, no_reason)(model, size)}")
    return " and ".join(verdicts), ", ".join(remarks)


def by_fvcore(model: nn.Module, size: Size) -> int:
    """Fvcore's count, from a trace on the CPU."""
    analysis = importlib.import_module("fvcore.nn").FlopCountAnalysis(model, torch.zeros(1, *size))
    return int(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def reasons_of_fvcore(model: nn.Module, size: Size) -> str:
    """What fvcore leaves out or rounds: convolutions with padding "same", and products by einsum, to 4 digits."""
    analysis = importlib.import_module("fvcore.nn").FlopCountAnalysis(model, torch.zeros(1, *size))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()
    left_out = {operator.removeprefix("aten::") for operator in analysis.unsupported_ops()} & UNSEEN
    rounded = {"einsum"} & set(analysis.by_operator())
    spelled = [f" without {operator}" for operator in sorted(left_out)] + [f" with {name} rounded" for name in rounded]
    return ",".join(spelled)


def no_reason(model: nn.Module, size: Size) -> str:
    """Nothing to add."""
    return ""


def by_thop(model: nn.Module, size: Size) -> int:
    """Thop's count. It writes into the model: it comes last."""
    return int(
        importlib.import_module("thop").profile(
            model, (torch.zeros(1, *size),), custom_ops=rules_of_thop(model), verbose=False
        )[0]
    )


def rules_of_thop(model: nn.Module) -> dict[type[nn.Module], Callable[..., None]]:
    """Its rules for the classes of a model's modules; for a subclass, that of the layer."""
    rules = importlib.import_module("thop").profile.__globals__["register_hooks"]
    layers = {type(module) for module in model.modules()}
    known = {layer: next((rules[base] for base in layer.__mro__ if base in rules), None) for layer in layers}
    return {layer: rule for layer, rule in known.items() if rule and rule is not rules[nn.Sequential]}


def by_modules(model: nn.Module, profile: Profile) -> int:
    """The convention of thop, for those modules alone for which it has a rule, and as often as it meets them.

    A rule of a convolution or a linear layer sees no normalization within it, such as one of its weights. A module in
    several places has its rule once for each, and its number is added for each.
    """
    rules = rules_of_thop(model)
    places = Counter(id(module) for module in met(model))
    costs = {id(model.get_submodule(row.name)): row.work for row in profile.modules}

    def count(module: nn.Module) -> int:
        rule = rules.get(type(module))
        if rule is None:
            return sum(map(count, module.children()))
        work = costs[id(module)]
        if rule.__name__ != "count_normalization":
            work = replace(work, **{name: 0 for name in vars(work) if "norm" in name})
        return places[id(module)] * CONVENTIONS["thop"].count(work)

    return sum(map(count, model.children()))


def met(module: nn.Module) -> Iterator[nn.Module]:
    """A module and what is below it, one in several places as often."""
    yield module
    for child in module.children():
        yield from met(child)


TOOLS = {"fvcore": by_fvcore, "thop": by_thop}
REASONS = {"fvcore": reasons_of_fvcore}
UNSEEN = {"_convolution_mode", "lstm", "scaled_dot_product_attention", "_native_multi_head_attention"}


def peaks(batch: int, model: nn.Module, size: Size) -> tuple[str, str]:
    """Predicted peaks against those of a real run."""
    predicted = memory(model, size, batch=batch)
    real = dict(zip(("inference", "training"), measured(model, torch.randn(batch, *size)), strict=True))
    off = {phase: getattr(predicted, phase) / peak - 1 for phase, peak in real.items()}
    spelled = ", ".join(f"{phase} {real[phase] / 2**20:.2f} MiB {share:+.2%}" for phase, share in off.items())
    return "missed" if any(abs(share) > BARS[phase] for phase, share in off.items()) else "within the bars", spelled


def attempt(work: Callable[[], Any]) -> Any:
    """What a function returns, or the error that it raises."""
    try:
        return work()
    except Exception as error:  # of anybody's code
        return error


def shuffled(patterns: list[str], shard: str) -> list[str]:
    """One shard of the names of models that match any pattern, in an order that is always the same."""
    names = sorted({name for pattern in patterns for name in timm().list_models(pattern)})
    which, count = map(int, shard.split("/"))
    if not 1 <= which <= count:
        raise SystemExit(f"--shard must be I/N with I from 1 to N, not {shard}")
    return sorted(names, key=lambda name: zlib.crc32(name.encode()))[which - 1 :: count]


def result(name: str, most: int, compare: Compare, *, real: bool) -> tuple[str, str]:
    """The verdict on one model, and what to print about it."""
    model = attempt(partial(build, name, most, real=real))
    if model is None:
        return "larger", ""
    if isinstance(model, Exception):
        return "not built", f"{type(model).__name__}: {model}"
    outcome: Any = attempt(partial(compare, model, tuple(model.pretrained_cfg["input_size"])))
    is_error = isinstance(outcome, Exception)
    verdict, remark = ("failed", f"{type(outcome).__name__}: {outcome}") if is_error else outcome
    return verdict, remark


def main(options: argparse.Namespace, compare: Compare) -> int:
    """Print a line for each model and the summary; how many are off."""
    results = ResultLines(options.out, ("part", "model"))
    names = shuffled(options.patterns, options.shard)
    left = float("inf") if options.limit is None else -(-options.limit // int(options.shard.split("/")[1]))
    verdicts: Counter[str] = Counter()
    for name in within(options.budget, names):
        line = results.lines.get((options.what, name))
        if line is None:
            start = time.monotonic()
            verdict, remark = result(name, options.most, compare, real=options.what != "counts")
            seconds = round(time.monotonic() - start, 1)
            line = {"part": options.what, "model": name, "verdict": verdict, "remark": remark, "seconds": seconds}
            results.add(line)
            gc.collect()  # tools leave cycles with whole models in them
            print(f"{name:45} {verdict:25} {remark[:200]}", flush=True)
        verdicts[str(line["verdict"])] += 1
        left -= line["verdict"] not in LEFT_OUT
        if left <= 0:
            break
    counted = ", ".join(f"{count:,} {verdict}" for verdict, count in verdicts.most_common())
    print(f"{options.what} of {verdicts.total():,} models: {counted}")
    return sum(verdicts[verdict] for verdict in OFF)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("counts", "conventions", "memory"))
    parser.add_argument("patterns", nargs="*", default=["*"], metavar="PATTERN")
    parser.add_argument("--limit", type=int, help="so many models that are not larger")
    parser.add_argument("--shard", default="1/1", metavar="I/N")
    parser.add_argument("--out", type=Path, help="file of results, JSON lines, to write and to continue")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="begin no model after so long")
    parser.add_argument("--most", type=int, default=60_000_000, help="parameters of the largest model")
    parser.add_argument("--batch", type=int, default=2, help="images, for memory")
    parser.add_argument("--tools", default="fvcore,thop", help="for conventions")
    options = parser.parse_intermixed_args()
    warnings.simplefilter("ignore")
    if options.what == "conventions":
        timm().layers.set_fused_attn(False)
    COMPARISONS: dict[str, Compare] = {
        "counts": counts,
        "conventions": partial(conventions, options.tools.split(",")),
        "memory": partial(peaks, options.batch),
    }
    sys.exit(1 if main(options, COMPARISONS[options.what]) else 0)
