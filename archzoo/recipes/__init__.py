"""The types in which a paper's training recipe is stated. Imports no torch.

``Recipe`` is one training run; schedules, augmentation, preprocessing, regularizers and protocols are typed values.
"""

from archzoo.recipes._defaults import DEFAULT_RECIPES
from archzoo.recipes._optimizers import Optimizer, defaults_of, optimizer_class, sgd
from archzoo.recipes._parameter_groups import ParameterGroup
from archzoo.recipes._parsing import read_changes
from archzoo.recipes._preprocessing import Bytes, Normalize, Preprocessing, Rescale, SubtractMean, ZCAWhitening
from archzoo.recipes._presets import (
    ALEXNET_AUGMENTATION,
    CIFAR_AUGMENTATION,
    FB_RESNET_TORCH_AUGMENTATION,
    NESTEROV_SGD,
)
from archzoo.recipes._protocols import Dense, MultiCrop144, Protocol, SingleCrop, TenCrop
from archzoo.recipes._recipe import TRAINING_IMAGES, Recipe
from archzoo.recipes._regularizers import DropConnect, Dropout, DropPath, FractionalMaxPooling, Regularizer
from archzoo.recipes._schedules import (
    Constant,
    Cosine,
    Duration,
    InverseTime,
    LinearDecay,
    MultiStep,
    MultiStepFraction,
    PiecewiseConstant,
    ReduceOnPlateau,
    RemainingHalves,
    Schedule,
    StepDecay,
    Warmup,
    rate_factor,
)
from archzoo.recipes._text import describe, draw_rates
from archzoo.recipes._transforms import (
    CenterCrop,
    ColorJitter,
    Lambda,
    PCALighting,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomTenCrop,
    Range,
    Resize,
    Transform,
)

__all__ = [
    "ALEXNET_AUGMENTATION",
    "CIFAR_AUGMENTATION",
    "DEFAULT_RECIPES",
    "FB_RESNET_TORCH_AUGMENTATION",
    "NESTEROV_SGD",
    "TRAINING_IMAGES",
    "Bytes",
    "CenterCrop",
    "ColorJitter",
    "Constant",
    "Cosine",
    "Dense",
    "DropConnect",
    "DropPath",
    "Dropout",
    "Duration",
    "FractionalMaxPooling",
    "InverseTime",
    "Lambda",
    "LinearDecay",
    "MultiCrop144",
    "MultiStep",
    "MultiStepFraction",
    "Normalize",
    "Optimizer",
    "PCALighting",
    "ParameterGroup",
    "PiecewiseConstant",
    "Preprocessing",
    "Protocol",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomTenCrop",
    "Range",
    "Recipe",
    "ReduceOnPlateau",
    "Regularizer",
    "RemainingHalves",
    "Rescale",
    "Resize",
    "Schedule",
    "SingleCrop",
    "StepDecay",
    "SubtractMean",
    "TenCrop",
    "Transform",
    "Warmup",
    "ZCAWhitening",
    "defaults_of",
    "describe",
    "draw_rates",
    "optimizer_class",
    "rate_factor",
    "read_changes",
    "sgd",
]
