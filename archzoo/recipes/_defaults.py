"""Recipes that no paper states: for a first run, for fine-tuning, and to start from."""

from archzoo.recipes._optimizers import sgd
from archzoo.recipes._recipe import Recipe
from archzoo.recipes._schedules import Constant, MultiStepFraction, StepDecay
from archzoo.recipes._transforms import RandomCrop, RandomHorizontalFlip, RandomResizedCrop

ANY = ("*",)

DEFAULT_RECIPES = (
    Recipe(
        name="fine_tuning",
        networks=ANY,
        data="a folder",
        source="PyTorch's transfer learning tutorial (ants and bees)",
        lr=0.001,
        batch_size=4,
        epochs=25,
        schedule=StepDecay(7, gamma=0.1),
        augmentation=(RandomResizedCrop(), RandomHorizontalFlip()),
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
