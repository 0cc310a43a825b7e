"""What a paper's networks are called."""

import inspect
from importlib import import_module

from archzoo.paper import Paper

LONGEST = 34  # characters of a name; a docstring may also begin with a sentence


def short_name(paper: Paper) -> str:
    """The name with which the docstring of the paper's models begins, such as ResNet, or else the paper's title."""
    docstring = inspect.getdoc(import_module(paper.models)) if paper.models else ""
    name, colon, _ = (docstring or "").partition("\n")[0].partition(":")
    return name if colon and 0 < len(name) <= LONGEST else paper.title


def name_and_year(paper: Paper) -> str:
    """Such as ResNet (2015)."""
    return f"{short_name(paper)} ({paper.year})"
