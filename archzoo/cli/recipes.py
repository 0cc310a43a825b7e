"""The verb about training: how a paper did it."""

import json
from typing import Annotated

import typer

from archzoo.cli.arguments import Format, Options, complete_name, split_option


def recipe(
    name: Annotated[str, typer.Argument(help="A network, or a recipe of its own name.", autocompletion=complete_name)],
    changes: Options = None,
    *,
    data: Annotated[str, typer.Option(help="Which data, where a network has recipes for several.")] = "",
    form: Annotated[Format, typer.Option("--format", help="table, or json.")] = Format.table,
) -> None:
    """Tell how a paper trained a network, and draw its learning rate. key=value changes a value."""
    from archzoo.errors import RecipeError
    from archzoo.training.recipes import IMAGES, draw, find_recipe, read_changes, spelled

    found = find_recipe(name, data)
    found = found.with_(**read_changes(found, dict(split_option(change) for change in changes or [])))
    if form is Format.json:
        print(json.dumps(found.as_dict(), indent=1))
        return
    if form is not Format.table:
        raise RecipeError(f"a recipe is printed as table or json, not {form.value}")
    for key, text in spelled(found).items():
        print(f"{key:>16}  {text}")
    print(f"\n{draw(found, IMAGES.get(found.data, 50_000))}")
