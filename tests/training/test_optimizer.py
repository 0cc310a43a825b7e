"""Optimizers of torch.optim by a recipe: every option, weight decay, and the ones that are refused."""

from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.errors import RecipeError, TrainingError
from archzoo.recipes import Optimizer, Recipe, read_changes
from archzoo.recipes._optimizers import REFUSED
from archzoo.registry import find_recipe
from archzoo.training._optimizer import build_optimizer, split_by_decay

DIGITS = find_recipe("digits")
OPTIMIZERS = [
    name
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer
]


def changed(**texts: str) -> Recipe:
    """The recipe for the digits, changed as the command line does."""
    return DIGITS.with_changes(**read_changes(DIGITS, texts))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"optimizer": "adamw", "betas": "0.9,0.95"}, {"betas": (0.9, 0.95), "weight_decay": 1e-4}),
        ({"optimizer": "AdamW(betas=(0.9, 0.95), amsgrad=True)"}, {"betas": (0.9, 0.95), "amsgrad": True}),
        ({"optimizer": "adam", "amsgrad": "true", "eps": "1e-6"}, {"amsgrad": True, "eps": 1e-6}),
        ({"momentum": "0.8", "dampening": "0.1", "nesterov": "false"}, {"momentum": 0.8, "dampening": 0.1}),
        ({"optimizer": "rmsprop", "alpha": "0.9", "centered": "true"}, {"alpha": 0.9, "centered": True}),
        ({"optimizer": "rprop", "etas": "0.5,1.5", "weight_decay": "0"}, {"etas": (0.5, 1.5)}),
        ({"maximize": "true"}, {"maximize": True, "momentum": 0.9, "nesterov": True}),
    ],
    ids=str,
)
def test_every_option_of_an_optimizer_can_be_set(texts: dict[str, str], expected: dict[str, object]) -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), changed(**texts))
    assert {name: optimizer.defaults[name] for name in expected} == expected
    assert optimizer.defaults["lr"] == DIGITS.lr


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"optimizer": "lbfgs"}, "optimizer lbfgs cannot be used: its step evaluates the loss several times"),
        ({"optimizer": "sparseadam"}, "it takes sparse gradients"),
        ({"optimizer": "admw"}, "torch.optim has no optimizer 'admw': did you mean 'adamw'"),
        ({"optimizer": "adamw", "betas": "2,3"}, "Invalid beta parameter"),
        ({"optimizer": "adamw", "momentum": "0.9"}, "a recipe has no 'momentum'"),
        ({"nesterov": "true", "momentum": "0"}, "nesterov=True of sgd needs a momentum above 0"),
        ({"optimizer": "rprop"}, "optimizer rprop takes no weight decay: set weight_decay=0"),
    ],
    ids=str,
)
def test_an_optimizer_that_cannot_train_is_refused_when_the_recipe_is_made(texts: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        changed(**texts)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_torch_is_built_or_refused_with_a_reason(name: str) -> None:
    if name.lower() in REFUSED:
        with pytest.raises(RecipeError, match="cannot be used: it"):
            Optimizer(name)
    else:
        recipe = DIGITS.with_changes(optimizer=Optimizer(name), weight_decay=0.0)
        assert type(build_optimizer(nn.Linear(2, 2), recipe)).__name__ == name


def test_a_group_has_its_own_initial_rate_and_frozen_parameters_are_in_none() -> None:
    layer = nn.Linear(2, 2)
    groups: list[dict[str, Any]] = [{"params": [layer.weight], "lr": 0.5}, {"params": [layer.bias]}]
    assert [group["initial_lr"] for group in build_optimizer(layer, DIGITS, groups).param_groups] == [0.5, DIGITS.lr]
    layer.bias.requires_grad_(False)
    assert [group["params"] for group in build_optimizer(layer, DIGITS).param_groups] == [[layer.weight]]
    layer.weight.requires_grad_(False)
    with pytest.raises(TrainingError, match="every parameter of the network is frozen"):
        build_optimizer(layer, DIGITS)


def test_the_scope_of_weight_decay_splits_the_parameters() -> None:
    net = archzoo.build("resnet20")
    everything, nothing = split_by_decay(net, "all")
    assert len(everything) == len(list(net.parameters()))
    assert not nothing
    weights, rest = split_by_decay(net, "weights")
    assert {parameter.dim() for parameter in weights} == {2, 4}
    assert {parameter.dim() for parameter in rest} == {1}
    assert len(weights) + len(rest) == len(everything)
    groups = build_optimizer(net, DIGITS.with_changes(decay_scope="weights")).param_groups
    assert [group["weight_decay"] for group in groups] == [1e-4, 0.0]
