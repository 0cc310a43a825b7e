"""Laws of the papers' files: they come in pairs with the models, are complete, and name nothing that is not there."""

import ast
import inspect
import subprocess
import sys
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

import pytest

import archzoo
from archzoo import registry
from archzoo.layers import Net
from archzoo.options import is_of_type, signature_of
from archzoo.paper import Paper

ROOT = Path(archzoo.__file__).parent
PAPERS = sorted(path.stem for path in (ROOT / "papers").glob("*.py") if path.stem != "__init__")
STEMS = sorted(path.stem for path in (ROOT / "models").glob("*.py") if path.stem != "__init__")
NAMES = archzoo.names()
RECIPES = [recipe for paper in registry.papers() for recipe in paper.recipes]


def test_papers_and_models_come_in_pairs_but_those_about_other_papers_networks() -> None:
    assert set(STEMS) < set(PAPERS)
    for stem in set(PAPERS) - set(STEMS):
        papers = [value for value in vars(import_module(f"archzoo.papers.{stem}")).values() if isinstance(value, Paper)]
        assert papers
        for paper in papers:
            assert not paper.models
            assert not paper.networks
            assert paper.published_results
            assert paper.recipes


@pytest.mark.parametrize("stem", STEMS)
def test_a_papers_file_declares_every_constructor_of_its_models_file(stem: str) -> None:
    module = import_module(f"archzoo.models.{stem}")
    constructors = {
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and inspect.signature(function).return_annotation in (Net, "Net")
        and all(option.default is not option.empty for option in inspect.signature(function).parameters.values())
    }
    declared = {
        entry.family for entry in map(archzoo.find, NAMES) if entry.module == module.__name__ and not entry.fixed
    }
    assert declared == constructors


@pytest.mark.parametrize("stem", STEMS)
def test_a_model_file_has_what_is_built_and_nothing_that_is_printed(stem: str) -> None:
    tree = ast.parse((ROOT / "models" / f"{stem}.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {module.split(".")[1] for module in imported if module and module.startswith("archzoo.")}
    assert ours <= {"errors", "layers"}


@pytest.mark.parametrize("stem", STEMS)
def test_a_papers_file_makes_papers_whose_models_are_in_the_file_of_its_name(stem: str) -> None:
    papers = [value for value in vars(import_module(f"archzoo.papers.{stem}")).values() if isinstance(value, Paper)]
    assert papers
    assert {paper.models for paper in papers if paper.networks} == {f"archzoo.models.{stem}"}


def test_every_network_has_a_recipe_or_says_that_none_is_published() -> None:
    without = {network: why for paper in registry.papers() for network, why in paper.without_recipe.items()}
    assert {name for name in NAMES if not registry.recipes_of(name)} == without.keys()
    assert all(without.values())


def test_every_network_that_a_recipe_names_exists() -> None:
    for recipe in RECIPES:
        for pattern in recipe.networks:
            assert [name for name in NAMES if fnmatchcase(name, pattern)], f"{recipe.name} trains no {pattern}"


def test_recipes_have_names_of_their_own() -> None:
    names = [recipe.name for recipe in registry.recipes()]
    assert len(names) == len(set(names))
    for recipe in RECIPES:
        assert recipe.name not in NAMES or recipe.name in recipe.networks


def test_every_network_and_option_of_a_result_exists() -> None:
    for result in registry.results():
        types = archzoo.find(result.name).types
        assert archzoo.find(result.name).name == result.name, result
        assert all(is_of_type(value, types[option]) for option, value in result.options.items()), result
        assert result.spread is None or 0 < result.spread < result.error, result
        if result.recipe:
            assert registry.find_recipe(result.recipe) in registry.recipes_of(result.name), result


def test_every_option_of_a_setting_exists_and_fits() -> None:
    for entry in map(archzoo.find, NAMES):
        signature = signature_of(entry.constructor)
        for option, value in entry.fixed.items():
            assert is_of_type(value, signature[option].annotation), f"{entry.name}: {option}"


def test_every_difference_from_a_release_is_a_full_sentence() -> None:
    """A malformed section raises; a heading that stands in no constructor's docstring would never be printed."""
    for entry in map(archzoo.find, NAMES):
        for difference in entry.differences:
            first = difference.split()[0]
            capital = first[0] in "`" or first[0].isupper() or any(letter.isdigit() for letter in first)
            assert capital, f"{entry.name}: {difference}"
            assert difference.endswith("."), f"{entry.name}: {difference}"


@pytest.mark.parametrize("stem", STEMS)
def test_differences_from_a_release_stand_in_the_docstrings_of_constructors(stem: str) -> None:
    constructors = {entry.constructor for entry in map(archzoo.find, NAMES) if entry.module == f"archzoo.models.{stem}"}
    printed = sum(bool(archzoo.find(name).differences) for name in {entry.__name__ for entry in constructors})
    assert (ROOT / "models" / f"{stem}.py").read_text().count("Differs from the release:") == printed


def test_every_option_that_a_claim_names_exists() -> None:
    for _, entry, claim in registry.all_claims():
        for network, options in ((entry, claim.options), (archzoo.find(claim.to or entry.name), claim.to_options)):
            for option, value in options.items():
                assert is_of_type(value, network.types[option]), f"{entry.name}: {claim}"


@pytest.mark.slow
@pytest.mark.parametrize("module", ["archzoo.papers", "archzoo.recipes", "archzoo.claims", "archzoo.registry"])
def test_what_papers_say_is_read_without_torch(module: str) -> None:
    code = f"import sys, {module}, archzoo; archzoo.names(); archzoo.registry.recipes(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
