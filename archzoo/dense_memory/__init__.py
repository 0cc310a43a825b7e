"""Dense blocks and transitions whose training takes memory linear in their depth."""

from archzoo.dense_memory.blocks import DenseBlock, Transition

__all__ = ["DenseBlock", "Transition"]
