"""Which recipe trains a network on some data. Imports no torch."""

from pathlib import Path

from archzoo.errors import RecipeError
from archzoo.recipes import DEFAULT_RECIPES, Recipe
from archzoo.registry import find, find_recipe, recipes_of


def choose_recipe(network: str, data: str | Path, recipe: Recipe | str | None = None) -> Recipe:
    """The recipe of this name, or the network's own for this data, or else for its paper's data.

    Those of other papers, such as Random Erasing, are chosen by name where the network's own paper states any.

    Raises RecipeError where the network has no published recipe, with the names of those that fit any network;
    ``digits`` has one for every network.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if recipe:
        return find_recipe(recipe)
    entry = find(network)
    try:
        chosen = find_recipe(entry.name, str(data))
    except RecipeError:
        return find_recipe(entry.name)
    own = [recipe for recipe in recipes_of(entry.name) if recipe in entry.paper.recipes]
    is_general = chosen in DEFAULT_RECIPES
    return chosen if is_general or not own or chosen in own else own[0]
