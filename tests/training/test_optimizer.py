"""Optimizers of torch.optim by a recipe: every option, weight decay, and the ones that are refused."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.errors import RecipeError, TrainingError
from archzoo.recipes import Optimizer, ParameterGroup, Recipe, read_changes
from archzoo.recipes._optimizers import REFUSED
from archzoo.registry import find_recipe
from archzoo.training._optimizer import build_optimizer

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
    (whole,) = build_optimizer(net, DIGITS).param_groups
    assert whole["params"] == list(net.parameters())
    weights, rest = build_optimizer(net, DIGITS.with_changes(decay_scope="weights")).param_groups
    assert {parameter.dim() for parameter in weights["params"]} == {2, 4}
    assert {parameter.dim() for parameter in rest["params"]} == {1}
    assert len(weights["params"]) + len(rest["params"]) == len(whole["params"])
    assert [group["weight_decay"] for group in (weights, rest)] == [1e-4, 0.0]


def test_factors_of_groups_are_those_of_groups_made_by_hand() -> None:
    """A step of Caffe's usual factors, lr_mult 2 and decay_mult 0 of biases, as torch.optim takes them."""
    groups = (ParameterGroup("*.bias", lr_mult=2, decay_mult=0), ParameterGroup("1.*", lr_mult=0.1, decay_mult=3))
    recipe = DIGITS.with_changes(groups=groups, lr=0.5, weight_decay=0.01)
    ours = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    theirs = copy.deepcopy(ours)
    by_hand = torch.optim.SGD(
        [
            {"params": [theirs[0].weight], "lr": 0.5, "weight_decay": 0.01},
            {"params": [theirs[0].bias], "lr": 1.0, "weight_decay": 0.0},
            {"params": [theirs[1].weight], "lr": 0.05, "weight_decay": 0.03},
            {"params": [theirs[1].bias], "lr": 0.1, "weight_decay": 0.0},
        ],
        momentum=0.9,
        nesterov=True,
    )
    optimizer = build_optimizer(ours, recipe)
    images = torch.rand(5, 3)
    for _ in range(3):
        for net, kind in ((ours, optimizer), (theirs, by_hand)):
            kind.zero_grad()
            net(images).square().sum().backward()
            kind.step()
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own, other)


def test_factors_of_groups_multiply_rates_by_layer_and_the_scope_of_decay() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    recipe = DIGITS.with_changes(
        groups=(ParameterGroup("*.bias", lr_mult=2), ParameterGroup("*", decay_mult=5)), decay_scope="weights"
    )
    stages: list[dict[str, Any]] = [
        {"params": list(net[0].parameters()), "lr": 0.25, "name": "first"},
        {"params": list(net[1].parameters()), "lr": 0.5, "name": "second"},
    ]
    made = build_optimizer(net, recipe, stages).param_groups
    assert [(group["name"], group["initial_lr"], group["weight_decay"]) for group in made] == [
        ("first", 0.25, 5e-4),
        ("first", 0.5, 0),
        ("second", 0.5, 5e-4),
        ("second", 1.0, 0),
    ]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("clasifier.*", "no parameter of the network matches 'clasifier.*' of groups: did you mean 'classifier.*'"),
        ("*.biass", r"did you mean '\*.bias'"),
        ("conv1.weight", "did you mean 'features.conv1.weight'"),
        ("bias", "did you mean|there are 'features.conv1.weight' to 'classifier"),
    ],
)
def test_a_pattern_that_matches_nothing_is_refused_with_the_nearest(pattern: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_optimizer(archzoo.build("resnet20"), DIGITS.with_changes(groups=(ParameterGroup(pattern),)))


def test_an_optimizer_without_weight_decay_takes_groups_too() -> None:
    recipe = DIGITS.with_changes(optimizer="rprop", weight_decay=0.0, groups=(ParameterGroup("bias", lr_mult=2),))
    groups = build_optimizer(nn.Linear(2, 2), recipe).param_groups
    assert [group["lr"] for group in groups] == [0.05, 0.1]
