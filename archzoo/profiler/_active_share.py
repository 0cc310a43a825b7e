"""The share of a network that a training step runs, where it drops blocks or paths."""

from typing import Any

import torch
from torch import Tensor, nn

from archzoo.profiler._profiles import Profile


def skips_modules(net: nn.Module) -> bool:
    """Whether a network may skip some of its modules in a training step: stochastic depth, drop-path."""
    return any(hasattr(module, "survival") or hasattr(module, "drop_path") for module in net.modules())


def active_share(net: Any, cost: Profile, draws: int = 400) -> float:
    """The average share of the multiply-adds that a training step runs: below 1 with stochastic depth or drop-path.

    Blocks with a survival probability count by it, exactly. Drop-path is sampled ``draws`` times, from a fixed seed.
    ``cost`` is the network's profile. ``net`` cannot be used afterwards: its layers do not compute anything.
    """
    if not skips_modules(net):
        return 1.0
    survivals = {name: getattr(module, "survival", None) for name, module in net.named_modules()}
    blocks = {name: survival for name, survival in survivals.items() if isinstance(survival, float)}
    if blocks:
        return 1 - sum((1 - survival) * cost.at(f"{name}.layers").macs for name, survival in blocks.items()) / cost.macs
    return _sampled_share(net, cost, draws)


def _sampled_share(net: Any, cost: Profile, draws: int) -> float:
    total = cost.at("classifier").macs * draws
    for name, module in net.features.named_modules(prefix="features"):
        if not any(module.children()):
            macs = cost.at(name).macs

            def count_call(maps: Tensor, macs: int = macs) -> Tensor:
                nonlocal total
                total += macs
                return maps

            module.forward = count_call  # only the calls matter
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        net.train()
        for _ in range(draws):
            net.features(torch.zeros(1))
    return total / draws / cost.macs
