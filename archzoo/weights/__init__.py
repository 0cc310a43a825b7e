"""Pretrained weights: published sets under our names, ours under other libraries', and files that rebuild a network."""

from archzoo.weights._building import build_pretrained, described_network, described_options, digest, is_path, load
from archzoo.weights._candidates import Candidate, Nearest
from archzoo.weights._describing import WeightsFile, check_describes, describe_file
from archzoo.weights._hub import from_hub, push
from archzoo.weights._identifying import Identification, describe, identify
from archzoo.weights._partial import initialize_from
from archzoo.weights._published import PUBLISHED, normalization
from archzoo.weights._published_set import PublishedWeights
from archzoo.weights._rebuilding import Rebuilt, rebuild
from archzoo.weights._saving import convert, save, save_with
from archzoo.weights._transforms import Transform, transform

__all__ = [
    "PUBLISHED",
    "Candidate",
    "Identification",
    "Nearest",
    "PublishedWeights",
    "Rebuilt",
    "Transform",
    "WeightsFile",
    "build_pretrained",
    "check_describes",
    "convert",
    "describe",
    "describe_file",
    "described_network",
    "described_options",
    "digest",
    "from_hub",
    "identify",
    "initialize_from",
    "is_path",
    "load",
    "normalization",
    "push",
    "rebuild",
    "save",
    "save_with",
    "transform",
]
