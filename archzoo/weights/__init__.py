"""Pretrained weights: published sets under our names, ours under other libraries', and files that rebuild a network."""

from archzoo.weights.building import build_pretrained, described_options, load
from archzoo.weights.published import PUBLISHED, PublishedWeights, normalization
from archzoo.weights.saving import convert, save

__all__ = [
    "PUBLISHED",
    "PublishedWeights",
    "build_pretrained",
    "convert",
    "described_options",
    "load",
    "normalization",
    "save",
]
