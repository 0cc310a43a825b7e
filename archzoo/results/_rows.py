"""The rows of the table of results: printed errors that have a recipe, and what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from archzoo.errors import RecipeError
from archzoo.paper import DATA, Paper, Result
from archzoo.recipes import Recipe
from archzoo.registry import find, find_recipe, names, papers, recipes_of
from archzoo.results._measured import Measured, read_measured

Verdict = Literal["met", "not met", "not tried", "not comparable"]
SEEDS = "0,1,2,3,4"  # as many runs as Random Erasing's Table 1 has
OF_THE_DATA = ("in_channels", "num_classes")  # options that every data set brings along


@dataclass(frozen=True)
class Row:
    """A network, a recipe, the error that is printed and the one that was measured.

    Attributes:
        network: The name of the network.
        recipe: The recipe.
        options: Options of the network that differ from its defaults.
        printed: The published result, or None where none is printed.
        paper: The paper that states the recipe, or None for a recipe of this project.
        measured: What was run, or None.
    """

    network: str
    recipe: Recipe
    options: Mapping[str, Any]
    printed: Result | None
    paper: Paper | None
    measured: Measured | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether the mean error is at most the printed one and what that leaves open.

        Runs of a changed recipe, and those without a printed error, are not comparable.
        """
        if self.measured is None:
            return "not tried"
        if self.printed is None or self.measured.changes:
            return "not comparable"
        return "met" if self.measured.error <= self.printed.error + self.printed.tolerance + 1e-9 else "not met"

    @property
    def command(self) -> str:
        """The command that runs it."""
        if self.measured is not None:
            return self.measured.command
        options = [f"{name}={value}" for name, value in self.options.items() if not self._is_default(name, value)]
        return " ".join(["archzoo reproduce", self.recipe.name, self.network, *options, f"--seed {SEEDS}"])

    def _is_default(self, name: str, value: Any) -> bool:
        """Whether ``archzoo reproduce`` chooses this option itself."""
        chosen = find_row(self.recipe.name, self.network).options
        return name in chosen and chosen[name] == value


def rows(pattern: str = "*", recipe: str = "*", measured: Sequence[Measured] | None = None) -> list[Row]:
    """The rows of the networks and recipes that match these patterns: as papers print them, then the others.

    A printed error is a row where a run of its recipe measures it: top-1, by the recipe's protocol. ``measured`` is
    what was run, by default what this project has.
    """
    runs = list(read_measured() if measured is None else measured)
    complete: list[Row] = []
    for row in _printed():
        matching = [run for run in runs if not run.changes and _same(run, row)]
        complete += [_with(row, run) for run in matching] or [row]
        runs = [run for run in runs if run not in matching]
    complete += [_with(find_row(run.recipe, run.network, run.options), run) for run in runs]
    networks = set(names(pattern))
    return [row for row in complete if row.network in networks and fnmatchcase(row.recipe.name, recipe)]


def _printed() -> list[Row]:
    """The printed errors that a run measures; one that is printed twice is one row."""
    rows: dict[Any, Row] = {}
    for paper in papers():
        for result in paper.published_results:
            if not result.recipe or result.data.endswith("top-5"):
                continue
            recipe = find_recipe(result.recipe)
            if str(recipe.protocol).startswith(result.protocol):
                options = dict(result.options)
                key = (result.name, recipe.name, repr(options), result.error)
                rows.setdefault(key, Row(result.name, recipe, options, result, paper))
    return list(rows.values())


def find_row(recipe: str, network: str, options: Mapping[str, Any] | None = None) -> Row:
    """The row of a recipe and a network, with what the recipe's paper prints; without what was measured.

    Without ``options``, they are those of the printed error. Raises UnknownName or RecipeError for a recipe that does
    not exist, or that does not train the network.
    """
    entry, chosen = find(network), find_recipe(recipe)
    is_general = chosen.networks == ("*",)
    if not is_general and chosen not in recipes_of(entry.name):
        known = ", ".join(dict.fromkeys(recipe.name for recipe in recipes_of(entry.name))) or "none"
        raise RecipeError(f"recipe {chosen.name} does not train {entry.name}: its recipes are {known}")
    paper = next((paper for paper in papers() if chosen in paper.recipes), None)
    results = [result for result in (paper.published_results if paper else ()) if _is_of(result, entry.name, chosen)]
    if options is None:
        printed = results[0] if results else None
        return Row(entry.name, chosen, dict(printed.options) if printed else {}, printed, paper)
    given = {name: value for name, value in options.items() if name not in OF_THE_DATA}
    printed = next((result for result in results if dict(result.options) == given), None)
    return Row(entry.name, chosen, given, printed, paper)


def _is_of(result: Result, network: str, recipe: Recipe) -> bool:
    """Whether a printed error is what this recipe should reach: named by the result, or by the data alone."""
    if result.name != network:
        return False
    if result.recipe:
        return result.recipe == recipe.name
    augmented = "+" if recipe.augmentation and f"{recipe.data}+" in DATA else ""
    return result.data in (f"{recipe.data}{augmented}", f"{recipe.data} top-1") and result.confirmed


def _same(run: Measured, row: Row) -> bool:
    return (run.recipe, run.network) == (row.recipe.name, row.network) and dict(run.options) == dict(row.options)


def _with(row: Row, run: Measured) -> Row:
    return Row(row.network, row.recipe, row.options, row.printed, row.paper, run)
