"""Recipes by name, by network, and by dataset."""

from fnmatch import fnmatchcase

from archzoo.errors import RecipeError, UnknownName
from archzoo.recipes import DEFAULT_RECIPES, Recipe
from archzoo.registry._loading import plain
from archzoo.registry._networks import find, papers


def recipes() -> list[Recipe]:
    """Every recipe: those of the papers, oldest first, then this project's own."""
    return [*(recipe for paper in papers() for recipe in paper.recipes), *DEFAULT_RECIPES]


def find_recipe(name: str, data: str = "") -> Recipe:
    """The recipe of this name, or the one that trains a network (on some data, where there are several).

    Without ``data`` it is the network's paper that decides. Raises RecipeError where there is none, with those there
    are, and where no recipe is published for a network.
    """
    for recipe in recipes():
        if plain(recipe.name) == plain(name):
            return recipe
    try:
        entry = find(name)
    except UnknownName as error:
        raise RecipeError(f"no recipe is called {name!r}, and {error}") from error
    published = recipes_of(entry.name)
    candidates = [*published, *DEFAULT_RECIPES] if data else published
    for recipe in candidates:
        if data in ("", recipe.data):
            return recipe
    own = ", ".join(recipe.name for recipe in DEFAULT_RECIPES)
    if not published:
        why = entry.paper.without_recipe.get(entry.name, "its paper's file states none")
        raise RecipeError(f"no recipe is published for {entry.name} ({why}): choose one by name, such as {own}")
    known = ", ".join(recipe.name for recipe in candidates)
    raise RecipeError(f"no recipe for {entry.name!r} on {data!r}; there are {known}")


def recipes_of(network: str) -> list[Recipe]:
    """The papers' recipes for a network: its own paper's first, and those that name it before those of a pattern."""
    own = find(network).paper
    matching = [
        (paper is not own, network not in recipe.networks, recipe)
        for paper in papers()
        for recipe in paper.recipes
        if any(fnmatchcase(network, pattern) for pattern in recipe.networks)
    ]
    return [recipe for *_, recipe in sorted(matching, key=lambda ranked: ranked[:2])]
