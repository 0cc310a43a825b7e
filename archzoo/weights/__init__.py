"""Pretrained weights: published sets under our names, ours under other libraries', and files that rebuild a network."""

from archzoo.weights._building import build_pretrained, described_options, load
from archzoo.weights._hub import from_hub, push
from archzoo.weights._partial import initialize_from
from archzoo.weights._published import PUBLISHED, normalization
from archzoo.weights._published_set import PublishedWeights
from archzoo.weights._saving import convert, save

__all__ = [
    "PUBLISHED",
    "PublishedWeights",
    "build_pretrained",
    "convert",
    "described_options",
    "from_hub",
    "initialize_from",
    "load",
    "normalization",
    "push",
    "save",
]
