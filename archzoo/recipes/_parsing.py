"""Recipe values as text, as the command line has them: ``lr=0.1``, ``augmentation=RandomCrop(padding=4)``.

Objects are written as Python calls of the classes in ``archzoo.recipes``. Nothing is evaluated but literals.
"""

import ast
import difflib
from collections.abc import Mapping
from typing import Any

from archzoo.errors import RecipeError
from archzoo.recipes._optimizers import Optimizer
from archzoo.recipes._parameter_groups import ParameterGroup
from archzoo.recipes._preprocessing import PREPROCESSING
from archzoo.recipes._protocols import PROTOCOLS
from archzoo.recipes._recipe import CLASSES, TUPLES, Recipe
from archzoo.recipes._regularizers import REGULARIZERS
from archzoo.recipes._schedules import SCHEDULES
from archzoo.recipes._transforms import TRANSFORMS

Types = Mapping[str, type]
FIELDS: Mapping[str, Types] = {
    name: {kind.__name__: kind for kind in kinds}
    for name, kinds in (
        ("augmentation", TRANSFORMS),
        ("groups", (ParameterGroup,)),
        ("preprocessing", PREPROCESSING),
        ("protocol", PROTOCOLS),
        ("regularizers", REGULARIZERS),
        ("schedule", SCHEDULES),
    )
}


def read_changes(recipe: Recipe, texts: Mapping[str, str]) -> dict[str, Any]:
    """Changed values as texts, read as the types of what they change, for ``Recipe.with_changes``.

    Raises RecipeError where a text is not such a value.
    """
    return {name: read_value(recipe, name, text) for name, text in texts.items()}


def read_value(recipe: Recipe, name: str, text: str) -> Any:
    """One value of a recipe as text. Raises RecipeError where it is not one."""
    if name in FIELDS:
        values = read_objects(name, text)
        if name in CLASSES and len(values) != 1:
            raise RecipeError(f"{name} must be one object, such as {_example(name)}, not {text!r}")
        return values if name in TUPLES else values[0]
    if name == "optimizer":
        return _read_optimizer(text)
    if name in TUPLES:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(getattr(recipe, name, None), str):
        return text
    return _read_plain(recipe, name, text)


def _read_plain(recipe: Recipe, name: str, text: str) -> Any:
    if name in ("epochs", "iterations", "batch_size", "batch_norm_images", "input_side"):
        try:
            return int(text)
        except ValueError as error:
            raise RecipeError(f"{name} must be an integer, not {text!r}") from error
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        value = {"true": True, "false": False, "none": None}.get(text.lower(), text)
    if isinstance(getattr(recipe, name, None), float):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RecipeError(f"{name} must be a number, such as {getattr(recipe, name)}, not {text!r}")
        return float(value)
    return value


def read_objects(name: str, text: str) -> tuple[Any, ...]:
    """Objects written as Python calls, with commas between: ``RandomCrop(padding=4), RandomHorizontalFlip()``.

    Parentheses without arguments may be left out. Raises RecipeError with the nearest class for an unknown one.
    """
    if text.strip() in ("", "()", "none", "None"):
        return ()
    try:
        body = ast.parse(f"({text},)", mode="eval").body
    except SyntaxError as error:
        raise RecipeError(f"{name} cannot be read: {text!r}; write {_example(name)}") from error
    nodes = body.elts if isinstance(body, ast.Tuple) else [body]
    return tuple(_read_call(name, node, text) for node in nodes)


def _read_call(name: str, node: ast.expr, text: str) -> Any:
    call = node if isinstance(node, ast.Call) else ast.Call(func=node, args=[], keywords=[])
    if not isinstance(call.func, ast.Name):
        raise RecipeError(f"{name} cannot be read: {text!r}; write {_example(name)}")
    types = FIELDS[name]
    if call.func.id not in types:
        near = difflib.get_close_matches(call.func.id.lower(), [kind.lower() for kind in types], n=1, cutoff=0.6)
        by_lower = {kind.lower(): kind for kind in types}
        hint = f"did you mean {by_lower[near[0]]}? " if near else ""
        raise RecipeError(f"{name} has no {call.func.id}: {hint}choose from {', '.join(types)}")
    try:
        values = [_read_argument(name, argument, text) for argument in call.args]
        named = {keyword.arg or "": _read_argument(name, keyword.value, text) for keyword in call.keywords}
        return types[call.func.id](*values, **named)
    except (TypeError, SyntaxError, ValueError) as error:
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(f"{name}: {ast.unparse(node)}: {error}; write {_example(name)}") from error


def _read_argument(name: str, node: ast.expr, text: str) -> Any:
    is_object = isinstance(node, ast.Call) or (isinstance(node, ast.Name) and node.id in FIELDS[name])
    return _read_call(name, node, text) if is_object else ast.literal_eval(node)


def _read_optimizer(text: str) -> Optimizer | str:
    """A name alone, or a call: ``AdamW(betas=(0.9, 0.95))``."""
    if "(" not in text:
        return text
    name, _, arguments = text.partition("(")
    try:
        node = ast.parse(f"optimizer({arguments}", mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
            raise ValueError("expected a name with options")
        options = {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in node.keywords}
    except (SyntaxError, ValueError) as error:
        raise RecipeError(f"optimizer cannot be read: {text!r}; write adamw or AdamW(betas=(0.9, 0.95))") from error
    return Optimizer(name.strip(), options)


def _example(name: str) -> str:
    return {
        "augmentation": "RandomCrop(padding=4), RandomHorizontalFlip()",
        "groups": "ParameterGroup('*.bias', lr_mult=2, decay_mult=0)",
        "preprocessing": "Normalize()",
        "protocol": "TenCrop()",
        "regularizers": "Dropout(0.5)",
        "schedule": "MultiStep((30, 60), gamma=0.1)",
    }[name]
