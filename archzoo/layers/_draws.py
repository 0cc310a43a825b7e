"""Networks that draw what they run, and graphs, which hold one draw for ever."""

import torch
from torch import Tensor, fx


def refuse_one_draw(maps: Tensor, sentence: str) -> None:
    """Raise RuntimeError with this sentence where a graph is recorded: by compiling, exporting, or tracing."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or isinstance(maps, fx.Proxy):
        raise RuntimeError(sentence)
