"""Every network by name: what its paper says, and the function that builds it. Imports no torch until one is built.

The papers are the files of ``archzoo/papers``, and those of other packages: an entry point of the group
``archzoo.papers`` names a module that makes ``archzoo.paper.Paper`` objects.
"""

from archzoo.registry._entry import Entry
from archzoo.registry._loading import PLUGINS, broken, plugins
from archzoo.registry._networks import all_claims, build, find, names, not_countable, papers, results
from archzoo.registry._recipes import find_recipe, recipes, recipes_of
from archzoo.registry._synonyms import option_hint

__all__ = [
    "PLUGINS",
    "Entry",
    "all_claims",
    "broken",
    "build",
    "find",
    "find_recipe",
    "names",
    "not_countable",
    "option_hint",
    "papers",
    "plugins",
    "recipes",
    "recipes_of",
    "results",
]
