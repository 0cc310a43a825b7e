"""Rows in the form of Hugging Face's model cards: ``model-index``, as YAML.

github.com/huggingface/hub-docs, modelcard.md
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from archzoo.results._rows import Row

# Data sets by the names of the hub, and in words.
DATASETS = {
    "cifar10": ("uoft-cs/cifar10", "CIFAR-10"),
    "cifar100": ("uoft-cs/cifar100", "CIFAR-100"),
    "fashion_mnist": ("zalando-datasets/fashion_mnist", "Fashion-MNIST"),
    "imagenet": ("ILSVRC/imagenet-1k", "ImageNet"),
    "mnist": ("ylecun/mnist", "MNIST"),
    "svhn": ("ufldl-stanford/svhn", "SVHN"),
}


def model_index(rows: Sequence[Row]) -> str:
    """The rows that were measured, as the YAML block of a model card: a model for each network.

    Accuracies are in percent, and means over the seeds.
    """
    measured = [row for row in rows if row.measured is not None]
    lines = ["model-index:" if measured else "model-index: []"]
    for network, group in groupby(sorted(measured, key=lambda row: row.network), key=lambda row: row.network):
        lines += [f"- name: {_text(network)}", "  results:"]
        for row in group:
            lines += _result(row)
    return "\n".join(lines) + "\n"


def _result(row: Row) -> Iterator[str]:
    assert row.measured is not None
    name, title = DATASETS.get(row.recipe.data, (row.recipe.data, row.recipe.data))
    runs = len(row.measured.seeds)
    yield from ("  - task:", "      type: image-classification", "      name: Image Classification")
    yield from ("    dataset:", f"      type: {_text(name)}", f"      name: {_text(title)}", "      split: test")
    yield from ("    metrics:", "    - type: accuracy", f"      value: {100 - row.measured.error:.2f}")
    of_runs = f", mean of {runs} runs" if runs > 1 else ""
    yield f"      name: {_text(f'top-1 accuracy{of_runs}')}"
    if row.paper is not None:
        changes = ", ".join(f"{name}={text}" for name, text in row.measured.changes.items())
        title = f"recipe {row.recipe.name}" + (f" with {changes}" if changes else "")
        yield from ("    source:", f"      name: {_text(title)}")
        yield f"      url: {_text(row.paper.link)}"


def _text(value: Any) -> str:
    """A text as YAML reads it in any case: as JSON has it."""
    return json.dumps(str(value))
