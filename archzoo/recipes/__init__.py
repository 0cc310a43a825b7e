"""The types in which a paper's training recipe is stated. Imports no torch.

``Recipe`` is one training run; schedules, augmentation, preprocessing, regularizers and protocols are typed values.
"""

from archzoo.recipes.defaults import DEFAULT_RECIPES
from archzoo.recipes.optimizers import Optimizer, sgd
from archzoo.recipes.parsing import read_changes
from archzoo.recipes.preprocessing import Normalize, Preprocessing, Rescale, SubtractMean, ZCAWhitening
from archzoo.recipes.presets import (
    ALEXNET_AUGMENTATION,
    CIFAR_AUGMENTATION,
    FB_RESNET_TORCH_AUGMENTATION,
    NESTEROV_SGD,
)
from archzoo.recipes.protocols import Dense, MultiCrop144, Protocol, SingleCrop, TenCrop
from archzoo.recipes.recipe import TRAINING_IMAGES, Recipe
from archzoo.recipes.regularizers import DropConnect, Dropout, DropPath, FractionalMaxPooling, Regularizer
from archzoo.recipes.schedules import (
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
from archzoo.recipes.text import describe, draw_rates
from archzoo.recipes.transforms import (
    CenterCrop,
    ColorJitter,
    Lambda,
    PCALighting,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomTenCrop,
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
    "PiecewiseConstant",
    "Preprocessing",
    "Protocol",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomTenCrop",
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
    "describe",
    "draw_rates",
    "rate_factor",
    "read_changes",
    "sgd",
]
