"""What torch wraps around a network: compiled, data-parallel and averaged modules."""

import sys
from typing import Any

from torch import nn
from torch.optim.swa_utils import AveragedModel

INNER: dict[type, str] = {nn.DataParallel: "module", nn.parallel.DistributedDataParallel: "module"}


def inner_names() -> dict[type, str]:
    """By class of a wrapper, the name of the module inside of it. torch.compile's exists once something is compiled."""
    compiler: Any = sys.modules.get("torch._dynamo.eval_frame")
    compiled = {} if compiler is None else {compiler.OptimizedModule: "_orig_mod"}
    return {**INNER, **compiled}


def unwrapped(module: nn.Module, *, averaged: bool = False) -> nn.Module:
    """The module inside all wrappers, which is the module itself if there are none.

    ``averaged`` looks into ``AveragedModel`` too, which has weights of its own.
    """
    names = inner_names()
    if averaged:
        names[AveragedModel] = "module"
    while (name := names.get(type(module))) is not None:
        module = module.get_submodule(name)
    return module
