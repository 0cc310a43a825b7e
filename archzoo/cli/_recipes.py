"""The command ``recipe``: how a paper trained a network."""

import json
from typing import Annotated

import typer

from archzoo.cli._arguments import Format, RecipeValues, complete_name, show, split_option
from archzoo.cli._rows import write_rows
from archzoo.recipes import TRAINING_IMAGES, describe, draw_rates, read_changes
from archzoo.registry import find_recipe


def recipe(
    name: Annotated[str, typer.Argument(help="A network, or the name of a recipe.", autocompletion=complete_name)],
    changes: RecipeValues = None,
    *,
    data: Annotated[str, typer.Option(help="The dataset, for a network with several recipes.")] = "",
    form: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.table,
) -> None:
    """Print how a paper trained a network, and draw its learning rate."""
    published = find_recipe(name, data)
    texts = dict(split_option(change) for change in changes or [])
    changed = published.with_changes(**read_changes(published, texts))
    if form is Format.json:
        print(json.dumps(changed.to_dict(), indent=1))
    elif form is Format.table:
        texts = describe(changed)
        width = max(map(len, texts))
        for key, text in texts.items():
            show(f"{key:>{width}}  {text}")
        print(f"\n{draw_rates(changed, TRAINING_IMAGES.get(changed.data, 50_000))}")
    else:
        print(write_rows(("value", "text"), list(describe(changed).items()), form), end="")
