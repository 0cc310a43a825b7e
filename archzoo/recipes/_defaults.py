"""Recipes that no paper states: for a first run, for fine-tuning, and to start from."""

from dataclasses import replace

from archzoo.recipes._optimizers import sgd
from archzoo.recipes._parameter_groups import ParameterGroup
from archzoo.recipes._preprocessing import Normalize
from archzoo.recipes._presets import IMAGENET_NORMALIZATION
from archzoo.recipes._protocols import SingleCrop
from archzoo.recipes._recipe import Recipe
from archzoo.recipes._schedules import Constant, MultiStepFraction, StepDecay
from archzoo.recipes._transforms import RandomCrop, RandomHorizontalFlip, RandomResizedCrop

ANY = ("*",)

# PyTorch's transfer learning tutorial, as it is taught: the weights of the best validation epoch are tested.
TUTORIAL = Recipe(
    name="ants_and_bees",
    networks=ANY,
    data="a folder",
    source="PyTorch's transfer learning tutorial, the convnet fine-tuned",
    lr=0.001,
    batch_size=4,
    epochs=25,
    schedule=StepDecay(7, gamma=0.1),
    augmentation=(RandomResizedCrop(), RandomHorizontalFlip()),
    preprocessing=IMAGENET_NORMALIZATION,
    protocol=SingleCrop(224, resize=256),
    select="best",
)

DEFAULT_RECIPES = (
    replace(
        TUTORIAL,
        name="fine_tuning",
        source="PyTorch's transfer learning tutorial, for images of any size and number of channels",
        preprocessing=Normalize(),
        protocol=SingleCrop(),
    ),
    TUTORIAL,
    replace(
        TUTORIAL,
        name="ants_and_bees_frozen",
        source="PyTorch's transfer learning tutorial, the convnet as fixed feature extractor",
        # As in the tutorial, batch norms follow the new images: they have no gradients, and are in train mode.
        groups=(ParameterGroup("features.*", lr_mult=0),),
    ),
    replace(
        TUTORIAL,
        name="ants_and_bees_32",
        source="the tutorial's exercise in course notes, with batches of 32",
        batch_size=32,
        unconfirmed=("batch_size",),
    ),
    Recipe(
        name="digits",
        networks=ANY,
        data="digits",
        source="this project, for a first run",
        lr=0.05,
        batch_size=32,
        epochs=60,
        schedule=MultiStepFraction((0.5, 0.75)),
        optimizer=sgd(nesterov=True),
        weight_decay=1e-4,
        augmentation=(RandomCrop(padding=2),),
    ),
    Recipe(
        name="constant",
        networks=ANY,
        data="any",
        source="this project, to be changed",
        lr=0.01,
        batch_size=32,
        epochs=10,
        schedule=Constant(),
    ),
)
