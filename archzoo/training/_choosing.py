"""Which recipe trains a network on some data. Imports no torch."""

from pathlib import Path

from archzoo.errors import RecipeError
from archzoo.recipes import Recipe
from archzoo.registry import find, find_recipe


def choose_recipe(network: str, data: str | Path, recipe: Recipe | str | None = None) -> Recipe:
    """The recipe of this name, or the network's own for this data, or else for its paper's data.

    Raises RecipeError where the network has no published recipe, with the names of those that fit any network;
    ``digits`` has one for every network.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if recipe:
        return find_recipe(recipe)
    name = find(network).name
    try:
        return find_recipe(name, str(data))
    except RecipeError:
        return find_recipe(name)
