"""What records a network as a graph: TorchScript, ``torch.jit.trace``, FX, ``torch.compile`` and ``torch.export``."""

from typing import Any

import torch
from torch import fx
from torch.jit import is_scripting, is_tracing  # type: ignore[attr-defined]  # documented, and not in its __all__

__all__ = ["is_proxy", "is_scripting", "refuse_one_draw"]


def is_proxy(maps: Any) -> bool:
    """Whether FX records what is done with it."""
    return isinstance(maps, fx.Proxy)


def refuse_one_draw(maps: Any, sentence: str) -> None:
    """Raise RuntimeError with this sentence where a graph is recorded, which would hold one draw for ever."""
    if torch.compiler.is_compiling() or is_tracing() or is_proxy(maps):  # type: ignore[no-untyped-call]
        raise RuntimeError(sentence)
