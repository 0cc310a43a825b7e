"""Random builds, valid and not: each ends in the network that was asked for, or in an error that says what would do.

    python benchmarks/attack_builds.py --tries 10000 --seed 0 [NETWORK ...]

Networks may be patterns such as 'inception*'; all by default. They are built on the meta device. One that is refused
there is asked for on the CPU too, where it must be refused for the same reason, before it takes memory; a small one is
built there, and must run. Prints a table of attacks, tries and failures, and each failure; exits with 1 if there is
one.
"""

import argparse
import random
import sys
import time
import typing
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch

import archzoo
from archzoo.errors import ArchzooError, BadOption, UnknownName

SLOWEST = 10.0  # seconds of the processor for one build
DEEPEST = 600  # modules up to which a network runs
SMALL = 100_000  # parameters up to which a network is built on the CPU too
LONGEST = 600  # characters of an error

# The paper's rule of each depth: (layers of a unit, other layers). Counted by hand, not read from the constructors.
DEPTHS = {
    "resnet_cifar": (6, 2),
    "plain_cifar": (6, 2),
    "preact_resnet": (9, 2),
    "stochastic_depth": (6, 2),
    "wide_resnet": (6, 4),
    "resnext_cifar": (9, 2),
    "pyramidnet_cifar": (18, 2),  # both 6n + 2 and 9n + 2, of basic units and of bottlenecks
    "densenet": (3, 4),
    "densenet_b": (6, 4),
    "densenet_c": (3, 4),
    "densenet_bc": (6, 4),
    "condensenet_cifar": (6, 2),
    "condensenet_light": (6, 4),
}


class Evil:
    """A value whose text cannot be made."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


Draw = Callable[[random.Random], Any]
HUGE: tuple[Any, ...] = (2**31 - 1, 2**31, 2**32, 2**63, 2**64, 10**9, 10**9 + 1, 10**18, 10**5000)
HOSTILE: dict[str, Draw] = {
    "far too large": lambda draw: draw.choice(HUGE),
    "negative": lambda draw: -draw.choice((*HUGE[:-1], 1, 2, 7, 0.5)),
    "zero": lambda draw: draw.choice((0, 0.0, -0.0)),
    "not a finite number": lambda draw: draw.choice((float("nan"), float("inf"), -float("inf"), np.float64("nan"))),
    "a bool": lambda draw: draw.choice((True, False, np.True_)),
    "text": lambda draw: draw.choice(("", "12", "A", "x" * 100_000, "a\nb\x1b[31m", np.str_("A"))),
    "of numpy": lambda draw: draw.choice((np.int64(7), np.uint8(3), np.float32(0.25), np.array([1, 2]), np.array(3))),
    "an integer as a float": lambda draw: draw.choice((20.0, 1.0, 1e300, 5e-324)),
    "another kind": lambda draw: draw.choice((None, (), [], {}, object(), Evil(), b"1", 1j, torch.tensor(3), len)),
    "many": lambda draw: draw.choice(((1,) * 20_000, [8] * 11, (10**9,) * 5, (1, "a"), ((1,),), (float("nan"),) * 5)),
}


def valid_value(draw: random.Random, family: str, option: str, kind: Any, default: Any) -> Any:
    """A value that the option's type and its paper allow; not always with the values of the other options."""
    if typing.get_origin(kind) is typing.Literal:
        return draw.choice(typing.get_args(kind))
    if kind is bool:
        return draw.random() < 0.5
    if option == "depth":
        unit, rest = DEPTHS[family]
        return rest + unit * draw.choice((1, 1, 2, 3, 5, 16))
    if option == "widths":
        return tuple(draw.randint(1, 64) for _ in range(3 if family == "zfnet" else draw.randint(1, 6)))
    if option == "residual_scales":
        return tuple(draw.choice((0.1, 0.2, 0.3, 1.0)) for _ in range(3))
    if option == "drop" and family.startswith("fractalnet"):
        return draw.choice((None, 0.0, 0.3, tuple([0.1] * draw.randint(1, 6))))
    if kind is int:
        return draw.randint(1, {"columns": 5, "k": 24}.get(option, 10))
    if option == "width":
        return draw.choice((0.5, 1, 1.0, 1.5, 2.0, 1.37))
    choices = (None, 0.1, 0.5, 0.73, 1, 4.5) if default is None else (0.1, 0.25, 0.5, 0.9, 1.0)
    return draw.choice(choices)


@dataclass(frozen=True)
class Attack:
    """One build: what is wrong with it, or nothing, and what it asks for."""

    kind: str
    name: Any
    options: dict[str, Any]

    def __str__(self) -> str:
        try:
            options = f"{self.options!r}"[:300]
        except Exception:
            options = ", ".join(f"{name}=<{type(value).__name__}>" for name, value in self.options.items())
        return f"{self.kind}: build({self.name!r}, {options})"


def draw_attack(draw: random.Random, patterns: Sequence[str]) -> Attack:
    """A build at random: three of ten are valid by type, the rest have one hostile value or name."""
    names = [name for name in archzoo.names() if any(fnmatchcase(name, pattern) for pattern in patterns)]
    entries = [archzoo.find(name) for name in names]
    family = draw.choice(sorted({entry.family for entry in entries}))
    entry = draw.choice([entry for entry in entries if entry.family == family])
    name = entry.name
    defaults, types = entry.options, entry.types
    free = [option for option in types if option not in entry.fixed]
    chosen = draw.sample(free, draw.randint(0, len(free)))
    options = {
        option: valid_value(draw, entry.family, option, types[option], defaults[option]) for option in sorted(chosen)
    }
    lot = draw.random()
    if lot < 0.3:
        return Attack("valid by type", name, options)
    if lot < 0.85:
        kind = draw.choice(list(HOSTILE))
        return Attack(f"a value: {kind}", name, {**options, draw.choice(list(types)): HOSTILE[kind](draw)})
    if lot < 0.9:
        return Attack("an unknown option", name, {**options, draw.choice(("dept", "K", "x" * 10_000, "", "self")): 1})
    if lot < 0.95:
        return Attack("a device", name, {**options, "device": draw.choice(("gpu", "cuda:99", "meta:", 10**9, "", 1.5))})
    wrong = ("", name + "x", "é" * 5, "x" * 10_000, "../" + name, 7, None, b"vgg_a", name[:-1], "a\nb\x00")
    return Attack("a name", draw.choice(wrong), options)


def asked_on(device: str, attack: Attack) -> Any:
    """The network, or the error."""
    options = {"device": device, **attack.options}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return archzoo.build(attack.name, **options)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error


def ends(attack: Attack) -> tuple[bool, list[str]]:
    """Whether an attack is refused, and what is wrong with its end."""
    start = time.process_time()
    result = asked_on("meta", attack)
    if not isinstance(result, BaseException):
        faults = list(faults_of_network(attack, result))
    else:
        faults = list(faults_of_error(attack, result))
        on_cpu = asked_on("cpu", attack)
        if type(on_cpu) is not type(result) or str(on_cpu) != str(result):
            faults.append(f"on the CPU it is not refused alike: {str(on_cpu)[:200]}")
    if time.process_time() - start > SLOWEST:
        faults.append(f"it took {time.process_time() - start:.0f} s")
    return isinstance(result, BaseException), faults


def faults_of_error(attack: Attack, error: BaseException) -> Iterator[str]:
    """An error is one of the project's, short, on one line, and says what was asked for."""
    if not isinstance(error, ArchzooError):
        yield f"{type(error).__name__} is no ArchzooError: {str(error)[:200]}"
        return
    text = str(error)
    if len(text) > LONGEST or not text.isprintable():
        yield f"its message has {len(text)} characters, or some that cannot be printed: {text[:200]!r}"
    if isinstance(error, BadOption) and archzoo.find(attack.name).name not in text:
        yield f"its message does not name the network: {text[:200]}"
    if isinstance(error, UnknownName) and attack.kind != "a name":
        yield f"the name is known: {text[:200]}"


def faults_of_network(attack: Attack, net: Any) -> Iterator[str]:
    """A network has the classes, channels and depth that were asked for, runs on its paper's images, and has values."""
    entry = archzoo.find(attack.name)
    options = {**entry.options, **attack.options}
    _, height, width = entry.input_size
    if entry.family == "fractalnet":
        height = width = 2 ** len(options["widths"])
    parameters = list(net.parameters())
    if not all(parameter.numel() for parameter in parameters):
        yield "a parameter is empty"
    size = (int(options["in_channels"]), height, width)
    if height > 2**14 or sum(1 for _ in net.modules()) > DEEPEST:
        return
    counted = archzoo.profile(net, size)
    if options["num_classes"] and counted.modules[0].output != (options["num_classes"],):
        yield f"its logits have shape {counted.modules[0].output}"
    depth = options.get("depth", 0) - (not options["num_classes"])  # without classes, it has no last layer
    if entry.family in DEPTHS and entry.family != "wide_resnet" and counted.depth != depth:
        yield f"it has {counted.depth} layers"
    if counted.params < SMALL and max(size) <= 64:
        yield from faults_of_values(attack, size)


def faults_of_values(attack: Attack, size: tuple[int, ...]) -> Iterator[str]:
    """With values, it computes numbers."""
    net = asked_on("cpu", attack)
    if isinstance(net, BaseException):
        yield f"on the CPU it is refused: {net!r:.200}"
        return
    if not all(bool(parameter.isfinite().all()) for parameter in net.parameters()):
        yield "a parameter is not finite"
    with torch.no_grad():
        if not bool(net.eval()(torch.rand(1, *size)).isfinite().all()):
            yield "its logits are not finite"


def run(
    tries: int, seed: int, patterns: Sequence[str] = ("*",)
) -> tuple[Counter[str], Counter[str], Counter[str], list[str]]:
    """Tries, refusals and failures by kind of attack, and the failures in words."""
    draw = random.Random(seed)
    tried: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    failures: list[str] = []
    for number in range(tries):
        attack = draw_attack(draw, patterns)
        tried[attack.kind] += 1
        try:
            is_refused, faults = ends(attack)
        except Exception as error:
            is_refused, faults = False, [f"{type(error).__name__}: {str(error)[:300]}"]
        refused[attack.kind] += is_refused
        failed[attack.kind] += bool(faults)
        failures.extend(f"{number}: {attack}: {fault}" for fault in faults)
    return tried, refused, failed, failures


def main() -> int:
    """Print the table and the failures; whether there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("networks", nargs="*", default=["*"], metavar="NETWORK")
    arguments = parser.parse_args()
    tried, refused, failed, failures = run(arguments.tries, arguments.seed, arguments.networks)
    print("\n".join(failures))
    print("| attack | tries | refused in words | failures |\n| --- | --- | --- | --- |")
    for kind in sorted(tried):
        print(f"| {kind} | {tried[kind]:,} | {refused[kind]:,} | {failed[kind]:,} |")
    print(f"| all | {tried.total():,} | {refused.total():,} | {failed.total():,} |")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
