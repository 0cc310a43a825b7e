"""Faster networks for evaluation, which compute the same function: folded batch norms, memory format, dtype, compilers.

Works on any module of PyTorch, and on the layers that papers share.
"""

from archzoo.inference._accelerated import AcceleratedNetwork
from archzoo.inference._condensing import condense
from archzoo.inference._engines import Engine, EngineNetwork
from archzoo.inference._folding import Clamp, fold_batch_norms
from archzoo.inference._optimizing import Compile, optimize
from archzoo.inference._response_norm import BandedNorm

__all__ = [
    "AcceleratedNetwork",
    "BandedNorm",
    "Clamp",
    "Compile",
    "Engine",
    "EngineNetwork",
    "condense",
    "fold_batch_norms",
    "optimize",
]
