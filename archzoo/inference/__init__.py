"""Faster networks for evaluation, which compute the same function: folded batch norms, memory format, dtype, compilers.

Works on any module of PyTorch, and on the layers that papers share.
"""

from archzoo.inference._folding import Clamp, fold_batch_norms
from archzoo.inference._optimizing import BandedNorm, Compile, optimize

__all__ = ["BandedNorm", "Clamp", "Compile", "fold_batch_norms", "optimize"]
