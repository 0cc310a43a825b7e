"""Numbers out of range are refused when a recipe or a run is made, in words."""

import math
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest

import archzoo
from archzoo.data import Prepared, Splits, load
from archzoo.errors import DataError, RecipeError, TrainingError
from archzoo.recipes import Constant, Cosine, Dense, ParameterGroup
from archzoo.recipes._preprocessing import PREPROCESSING
from archzoo.recipes._protocols import PROTOCOLS
from archzoo.recipes._regularizers import REGULARIZERS
from archzoo.recipes._schedules import SCHEDULES
from archzoo.recipes._transforms import TRANSFORMS
from archzoo.registry import find_recipe
from archzoo.training import Distributed, RunConfig, evaluate, train
from archzoo.training._config import check_config

RECIPE = find_recipe("digits")
# Never a length, a share, a factor, a side in pixels or a name.
NEVER = (math.nan, math.inf, -math.inf, 10**15, -(10**15), "x", b"x")
REQUIRED: dict[str, Any] = {
    "milestones": (1, 2),
    "factors": (0.1, 0.1),
    "fractions": (0.5,),
    "gamma": 0.1,
    "step_size": 2,
    "rate": 0.1,
    "initial": 0.1,
    "length": 3,
    "schedule": Constant(),
    "error": 0.5,
    "pattern": "*",
    "size": 32,
}
KINDS = (*SCHEDULES, *TRANSFORMS, *REGULARIZERS, *PREPROCESSING, *PROTOCOLS, ParameterGroup)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_value_of_a_recipes_objects_is_out_of_range_or_no_number(kind: Any) -> None:
    required = {field.name: REQUIRED[field.name] for field in fields(kind) if field.default is MISSING}
    for field in fields(kind):
        if field.name in ("pattern", "function"):
            continue
        for value in NEVER:
            for given in (value, (value, value)):
                with pytest.raises(RecipeError):
                    kind(**required | {field.name: given})


@pytest.mark.parametrize(
    "name",
    ["lr", "batch_size", "weight_decay", "label_smoothing", "grad_clip_norm", "filter_limit", "ema", "epochs"],
)
def test_no_number_of_a_recipe_is_out_of_range(name: str) -> None:
    for value in (math.nan, math.inf, -1, "x", True):
        with pytest.raises(RecipeError, match=f"{name} must be"):
            RECIPE.with_changes(**{name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_smoothing": 2.0}, "label_smoothing must be at least 0 and less than 1, not 2.0"),
        ({"ema": 1.0}, "ema must be at least 0 and less than 1, not 1.0"),
        ({"lr": 1e7}, "lr must be more than 0 and at most 1e\\+06, not 10000000.0"),
        ({"momentum": 1.0}, "momentum of sgd must be at least 0 and less than 1, not 1.0"),
        ({"momentum": math.nan}, "momentum of sgd must be at least 0 and less than 1, not nan"),
        ({"optimizer": "adam", "eps": math.inf}, "eps of adam must be finite, not inf"),
        ({"optimizer": "adam", "betas": (math.nan, 0.9)}, "betas of adam must be finite"),
    ],
)
def test_a_refused_number_of_a_recipe_is_named_with_its_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        RECIPE.with_changes(**changes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workers": 1_000_000}, "workers must be an integer from 0 to"),
        ({"workers": -1}, "workers must be an integer from 0 to"),
        ({"seed": -1}, r"seed must be an integer from 0 to 9,223,372,036,854,775,807, not -1"),
        ({"seed": 2**63}, "seed must be an integer"),
        ({"seed": 0.5}, "seed must be an integer"),
        ({"accumulate": RECIPE.batch_size + 1}, f"accumulate must be an integer from 1 to {RECIPE.batch_size}"),
        ({"precision": "float8"}, "precision must be one of auto, float32, tf32, bfloat16, float16, not 'float8'"),
    ],
)
def test_no_number_of_a_run_is_out_of_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        check_config(replace(RunConfig(), **values), RECIPE, Distributed())


@pytest.mark.parametrize("name", ["sharded", "tensorboard", "compile", "deterministic", "channels_last", "resident"])
def test_a_switch_of_a_run_is_no_word(name: str) -> None:
    values: tuple[Any, ...] = ("no", 0.5)
    for value in values:
        with pytest.raises(TrainingError, match=f"{name} must be True or False.*, not {value!r}"):
            check_config(replace(RunConfig(), **{name: value}), RECIPE, Distributed(0, 2))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"validation": "0.1"}, "validation must be between 0 and 1, not '0.1'"),
        ({"validation": None}, "validation must be between 0 and 1, not None"),
        ({"shorter_side": 2.5}, "shorter_side must be at least 1 pixel, and whole, not 2.5"),
        ({"on_corrupt": "Skip"}, "on_corrupt must be one of error, skip, not 'Skip'"),
        ({"background": 5}, "background must be a color, such as white or #808080, not 5"),
        ({"value_range": (1,)}, "value_range must be two finite numbers, the lower first, not 1"),
        ({"value_range": "ab"}, "value_range must be two finite numbers, the lower first, not 'ab'"),
        ({"value_range": (5, 1)}, "value_range must be two finite numbers, the lower first, not 5 and 1"),
    ],
)
def test_values_of_the_data_are_refused_in_words(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}$"):
        load("digits", **values)


def test_a_protocol_that_leaves_no_pixel_is_refused_before_training(
    few: Splits, prepared: Prepared, tmp_path: Path
) -> None:
    recipe = RECIPE.with_changes(protocol=Dense((1,)))
    with pytest.raises(DataError, match=r"cannot be evaluated on digits by dense.*: .*output \(H: 0, W: 0\)"):
        train(archzoo.build("lenet5_textbook"), few, prepared, recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_evaluation_takes_no_more_workers_than_a_run(few: Splits, prepared: Prepared) -> None:
    with pytest.raises(TrainingError, match="workers must be an integer from 0 to"):
        evaluate(archzoo.build("lenet5_textbook"), few.test, prepared, workers=1_000_000)


@pytest.mark.parametrize("changes", [{"ema": 0.9}, {"schedule": Cosine(restarts=2)}])
def test_what_a_sharded_run_cannot_do_is_refused_before_it_starts(changes: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="FSDP cannot train with averaged weights or snapshots"):
        check_config(RunConfig(sharded=True), RECIPE.with_changes(**changes), Distributed(0, 2))
