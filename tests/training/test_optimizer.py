"""Optimizers of torch.optim by a recipe: every option, weight decay, and the ones that are refused."""

import copy
import inspect
from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.errors import RecipeError, TrainingError
from archzoo.recipes import Optimizer, ParameterGroup, Recipe, optimizer_class, read_changes
from archzoo.recipes._optimizers import KNOWN_OPTIONS, OWN, REFUSED, SGD_OPTIONS
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


class Constant(torch.optim.SGD):
    """An optimizer of a module that is not the project's."""


def test_an_optimizer_of_any_module_is_named_by_its_module_and_class() -> None:
    name = f"{__name__}:Constant"
    recipe = changed(optimizer=name, momentum="0.5")
    assert type(build_optimizer(nn.Linear(2, 2), recipe)) is Constant
    assert str(recipe.optimizer) == f"{name}(momentum=0.5)"
    assert changed(optimizer=str(recipe.optimizer)).optimizer == recipe.optimizer
    for wrong, message in (
        ("no_such_module:Lion", "cannot be imported as MODULE:CLASS: No module named 'no_such_module'"),
        ("torch.optim:Lion", "cannot be imported as MODULE:CLASS: module 'torch.optim' has no attribute 'Lion'"),
        ("torch.nn:Linear", "must be a subclass of torch.optim.Optimizer, not <class 'torch.nn.*Linear'>"),
        ("almost_adm", "did you mean 'almost_adam'"),
        ("almost_adam(betas=(1.0, 0.9))", "betas must be two numbers of at least 0 and less than 1"),
        ("tensorflow_rmsprop(alpha=1.0)", "alpha of tensorflow_rmsprop must be at least 0 and less than 1, not 1.0"),
        ("tensorflow_rmsprop(eps=0)", "eps of tensorflow_rmsprop must be more than 0 and finite, not 0"),
    ):
        with pytest.raises(RecipeError, match=message):
            changed(optimizer=wrong)


def test_known_options_are_those_of_the_classes() -> None:
    for name, options in KNOWN_OPTIONS.items():
        kind: Any = torch.optim.SGD if name == "sgd" else optimizer_class(name)
        parameters = inspect.signature(kind).parameters
        assert {option: parameters[option].default for option in options} == options
        assert {*parameters} - {*options} == {"params", "lr", "weight_decay"}
    assert KNOWN_OPTIONS["sgd"] is SGD_OPTIONS


def steps_of(recipe: Recipe, gradients: list[float], rates: list[float]) -> list[float]:
    """How far one weight moves in each step, from 1."""
    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    net = nn.Module()
    net.register_parameter("weight", weight)
    optimizer = build_optimizer(net, recipe)
    moved = []
    for gradient, rate in zip(gradients, rates, strict=True):
        before = float(weight.detach())
        weight.grad = torch.full_like(weight, gradient)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        moved.append(float(weight.detach()) - before)
    return moved


def test_almost_adam_corrects_no_bias() -> None:
    """By hand: m is 0.1 x 2, then 0.9 x 0.2 - 0.1 x 1; v is 0.001 x 4, then 0.999 x 0.004 + 0.001 x 1."""
    recipe = DIGITS.with_changes(optimizer="almost_adam", weight_decay=0.0)
    first, second = -0.2 / 0.004**0.5, -0.08 / 0.004996**0.5
    assert steps_of(recipe, [2, -1], [0.1, 0.01]) == pytest.approx([0.1 * first, 0.01 * second], rel=1e-5)
    # Adam's first step is the rate itself. The one without correction is 0.1 / sqrt(0.001) as long.
    adam = steps_of(recipe.with_changes(optimizer="adam"), [2], [0.1])
    assert 0.1 * first / adam[0] == pytest.approx(0.1 / 0.001**0.5, rel=1e-5)


def test_caffe_sgd_has_the_rate_in_its_momentum() -> None:
    """AlexNet, Sec. 5: v = 0.9 v - 0.0005 x rate x w - rate x gradient; w = w + v."""
    recipe = DIGITS.with_changes(optimizer="caffe_sgd", momentum=0.9, weight_decay=0.0005)
    first = -0.0005 * 0.1 * 1 - 0.1 * 2
    second = 0.9 * first - 0.0005 * 0.01 * (1 + first) - 0.01 * 3
    assert steps_of(recipe, [2, 3], [0.1, 0.01]) == pytest.approx([first, second])
    # At one rate torch's own SGD makes the same steps.
    same = recipe.with_changes(optimizer="sgd", momentum=0.9)
    assert steps_of(recipe, [2, 3, 1], [0.1] * 3) == pytest.approx(steps_of(same, [2, 3, 1], [0.1] * 3))


def test_caffe_sgd_with_nesterov_steps_from_where_the_momentum_leads() -> None:
    """Caffe's solver: v' = 0.9 v + rate x gradient; w = w - (1 + 0.9) v' + 0.9 v."""
    recipe = DIGITS.with_changes(optimizer="caffe_sgd", momentum=0.9, nesterov=True, weight_decay=0)
    first = 0.1 * 2
    second = 0.9 * first + 0.01 * 3
    expected = [-1.9 * first, -1.9 * second + 0.9 * first]
    assert steps_of(recipe, [2, 3], [0.1, 0.01]) == pytest.approx(expected)
    same = recipe.with_changes(optimizer="sgd", momentum=0.9, nesterov=True)
    assert steps_of(recipe, [2, 3, 1], [0.1] * 3) == pytest.approx(steps_of(same, [2, 3, 1], [0.1] * 3))


def test_tensorflows_rmsprop_adds_epsilon_below_the_root_and_starts_at_one() -> None:
    """By hand: the mean is 0.9 x 1 + 0.1 x 4, then 0.9 x 1.3 + 0.1 x 1; the momentum holds steps."""
    options = {"alpha": 0.9, "momentum": 0.5, "eps": 1.0}
    recipe = DIGITS.with_changes(optimizer=Optimizer("tensorflow_rmsprop", options), weight_decay=0.0)
    first = 0.1 * 2 / (1.3 + 1) ** 0.5
    second = 0.5 * first - 0.01 * 1 / (1.27 + 1) ** 0.5
    assert steps_of(recipe, [2, -1], [0.1, 0.01]) == pytest.approx([-first, -second])
    # torch's own adds it to the root, from zero: 0.1 x 2 / (sqrt(0.1 x 4) + 1).
    torchs = recipe.with_changes(optimizer=Optimizer("rmsprop", options))
    assert steps_of(torchs, [2], [0.1]) == pytest.approx([-0.1 * 2 / (0.4**0.5 + 1)])


@pytest.mark.parametrize("name", OWN)
def test_own_optimizers_step_by_the_loss_of_a_closure_and_leave_out_what_has_no_gradient(name: str) -> None:
    layer = nn.Linear(1, 1)
    layer.bias.grad = None
    before = layer.bias.item()
    optimizer = build_optimizer(layer, DIGITS.with_changes(optimizer=name))

    def closure() -> Any:
        loss = layer.weight.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0
    assert layer.bias.item() == before


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
