"""What features of Fashion-MNIST are worth for digits: frozen, fine-tuned and from scratch, by the number of images.

    python benchmarks/transfer.py [--seed 0,1,2] [--runs DIR] [--threads N] [--draw]

A ResNet-8 is trained on 1,000 images of each class of Fashion-MNIST. On 1 to 100 of scikit-learn's digits per class,
its classifier is then trained anew on frozen features, or all of it, and the same network is trained from scratch.
Each run has STEPS steps, and its rate is the one of RATES with the lower mean error on the 144 validation digits.
Writes docs/figures/transfer.json and transfer.svg. Rerun to resume; ``--draw`` draws what was run before.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import archzoo
from archzoo.data import Splits, load, prepare, sample_per_class
from archzoo.files import write_text
from archzoo.recipes import Cosine
from archzoo.registry import find_recipe
from archzoo.report import figures
from archzoo.training import RunConfig, run, train
from archzoo.transfer import fine_tune, linear_probe, replace_classifier

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
METHODS = {"frozen": linear_probe, "fine-tuned": fine_tune, "from scratch": train}
COUNTS = (1, 2, 5, 10, 20, 50, 100)
RATES = (0.1, 0.01)
SIDE, BATCH, STEPS = 28, 20, 120
NETWORK: dict[str, Any] = {"depth": 8, "in_channels": 1}
RECIPE = find_recipe("constant").with_changes(batch_size=BATCH, epochs=1, schedule=Cosine())


def pretrain(seed: int, runs: Path) -> Path:
    """The weights of a network that was trained on Fashion-MNIST, by ResNet's recipe in a shorter time."""
    folder = runs / f"fashion_mnist-{seed}"
    if not (folder / "net.safetensors").exists():
        run(
            "resnet_cifar",
            data="fashion_mnist",
            recipe="resnet_cifar10",
            changes={"iterations": None, "epochs": 3, "schedule": Cosine(), "input_side": SIDE},
            options={"depth": 8},
            per_class=1000,
            validation=0.02,
            run_dir=folder,
            config=RunConfig(seed=seed),
            device="cpu",
        )
    return folder / "net.safetensors"


def few_digits(count: int, seed: int) -> Splits:
    """So many digits of each class, each as often as an epoch of STEPS batches needs; all others to evaluate on."""
    splits = load("digits", side=SIDE)
    sample = sample_per_class(splits.train, count, seed)
    repeats = -(-STEPS * BATCH // len(sample))
    return replace(splits, train=sample.subset(torch.arange(len(sample)).repeat(repeats)[: STEPS * BATCH]))


def measure(method: str, weights: Path, count: int, rate: float, seed: int, runs: Path) -> dict[str, Any]:
    """One run; errors on the validation and the test digits."""
    splits = few_digits(count, seed)
    prepared = prepare(RECIPE.augmentation, RECIPE.preprocessing, splits.train, SIDE)
    torch.manual_seed(seed)
    if method == "from scratch":
        net = archzoo.build("resnet_cifar", **NETWORK)
    else:
        net = archzoo.build("resnet_cifar", weights=weights, **NETWORK)
        replace_classifier(net, len(splits.train.classes))
    folder = runs / f"{method.replace(' ', '-')}-{count}-{rate:g}-{seed}"
    recipe = RECIPE.with_changes(lr=rate)
    result = METHODS[method](net, splits, prepared, recipe, folder, RunConfig(seed=seed), log=lambda line: None)
    errors = {"validation_error": result.history[-1]["validation_error"], "test_error": 1 - result.test.top1}
    setting = {"method": method, "per_class": count, "rate": rate, "seed": seed}
    return setting | {name: round(error, 4) for name, error in errors.items()}


def chosen(runs: list[dict[str, Any]]) -> Iterator[tuple[str, int, float, list[float]]]:
    """For each method and number of images, the better rate and its test errors in percent."""
    for method, count in product(METHODS, COUNTS):
        own = [run for run in runs if (run["method"], run["per_class"]) == (method, count)]
        by_rate = {rate: [run for run in own if run["rate"] == rate] for rate in RATES}
        best = min(RATES, key=lambda rate: mean(run["validation_error"] for run in by_rate[rate]))
        yield method, count, best, [100 * run["test_error"] for run in by_rate[best]]


def main(arguments: argparse.Namespace) -> None:
    """Make all runs, write the file, draw, and print the table."""
    file = FIGURES / "transfer.json"
    if not arguments.draw:
        seeds = [int(seed) for seed in arguments.seed.split(",")]
        weights = {seed: pretrain(seed, arguments.runs) for seed in seeds}
        runs = [
            measure(method, weights[seed], count, rate, seed, arguments.runs)
            for count, method, rate, seed in product(COUNTS, METHODS, RATES, seeds)
        ]
        write_text(file, json.dumps({"runs": runs}, indent=1) + "\n")
    errors: dict[str, dict[int, list[float]]] = {method: {} for method in METHODS}
    print("| images per class | method | rate | test errors, % | mean |\n| --- | --- | --- | --- | --- |")
    for method, count, rate, measured in chosen(json.loads(file.read_text(encoding="utf-8"))["runs"]):
        errors[method][count] = measured
        each = ", ".join(f"{error:.1f}" for error in measured)
        print(f"| {count} | {method} | {rate:g} | {each} | {mean(measured):.1f} |")
    title = "ResNet-8 on digits, from Fashion-MNIST and from scratch"
    figures.save(figures.learning_curves(errors, title), FIGURES / "transfer.svg")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default="0,1,2", help="seeds with commas between")
    parser.add_argument("--runs", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--draw", action="store_true", help="only draw")
    parsed = parser.parse_args()
    torch.set_num_threads(parsed.threads)
    main(parsed)
