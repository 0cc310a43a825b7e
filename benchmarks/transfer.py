"""What features of Fashion-MNIST are worth for digits: frozen, fine-tuned and from scratch, by the number of images.

    python benchmarks/transfer.py [--seed 0,1,2] [--source-images N] [--source-epochs N] [--runs DIR] [--draw]

A ResNet-8 is trained on N images of each class of Fashion-MNIST. On 1 to 30 of scikit-learn's digits per class, its
classifier is then trained anew on frozen features, or all of it, and the same network is trained from scratch. All runs
have the same number of steps. Their learning rates are the best of 0.01, 0.03, 0.1, 0.3, 1 and 3 for 30 images of each
class and the first seed. Writes docs/figures/transfer.json and transfer.svg. Rerun
to resume; ``--draw`` draws what was run before.
"""

import argparse
import json
from collections.abc import Callable
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
from archzoo.training import RunConfig, TrainResult, run, train
from archzoo.transfer import fine_tune, linear_probe, replace_classifier

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
METHODS: dict[str, Callable[..., TrainResult]] = {
    "frozen": linear_probe,
    "fine-tuned": fine_tune,
    "from scratch": train,
}
RATES = {"frozen": 0.3, "fine-tuned": 0.1, "from scratch": 0.1}
COUNTS = (1, 3, 10, 30)
SIDE, BATCH, STEPS = 28, 20, 60
NETWORK: dict[str, Any] = {"depth": 8, "in_channels": 1}
RECIPE = find_recipe("constant").with_changes(batch_size=BATCH, epochs=1, schedule=Cosine())


def pretrain(seed: int, images: int, epochs: int, runs: Path) -> Path:
    """The weights of a network that was trained on Fashion-MNIST, by ResNet's recipe in a shorter time."""
    folder = runs / f"fashion_mnist-{seed}"
    if not (folder / "net.safetensors").exists():
        run(
            "resnet_cifar",
            data="fashion_mnist",
            recipe="resnet_cifar10",
            changes={
                "epochs": epochs,
                "schedule": Cosine(),
                "preprocessing": RECIPE.preprocessing,  # frozen features read digits as they read these
                "input_side": SIDE,
            },
            options={"depth": 8},
            per_class=images,
            validation=0.02,
            run_dir=folder,
            config=RunConfig(seed=seed),
            device="cpu",
        )
    return folder / "net.safetensors"


def few_digits(count: int, seed: int) -> Splits:
    """The digits with so many training images of each class, repeated to fill an epoch of STEPS batches."""
    splits = load("digits", side=SIDE)
    sample = sample_per_class(splits.train, count, seed)
    repeats = -(-STEPS * BATCH // len(sample))
    return replace(splits, train=sample.subset(torch.arange(len(sample)).repeat(repeats)[: STEPS * BATCH]))


def measure(method: str, weights: Path, count: int, seed: int, runs: Path) -> dict[str, Any]:
    """One run, and its error on the test digits."""
    splits = few_digits(count, seed)
    prepared = prepare(RECIPE.augmentation, RECIPE.preprocessing, splits.train, SIDE)
    torch.manual_seed(seed)
    if method == "from scratch":
        net = archzoo.build("resnet_cifar", **NETWORK)
    else:
        net = archzoo.build("resnet_cifar", weights=weights, **NETWORK)
        replace_classifier(net, len(splits.train.classes))
    folder = runs / f"{method.replace(' ', '-')}-{count}-{seed}"
    recipe = RECIPE.with_changes(lr=RATES[method])
    result = METHODS[method](net, splits, prepared, recipe, folder, RunConfig(seed=seed), log=lambda line: None)
    return {"method": method, "per_class": count, "seed": seed, "test_error": round(1 - result.test.top1, 4)}


def main(arguments: argparse.Namespace) -> None:
    """Make all runs, write the file, draw, and print the table."""
    file = FIGURES / "transfer.json"
    if not arguments.draw:
        seeds = [int(seed) for seed in arguments.seed.split(",")]
        source = {"images": arguments.source_images, "epochs": arguments.source_epochs}
        weights = {seed: pretrain(seed, **source, runs=arguments.runs) for seed in seeds}
        runs = [
            measure(method, weights[seed], count, seed, arguments.runs)
            for count, method, seed in product(COUNTS, METHODS, seeds)
        ]
        write_text(file, json.dumps({"source": source, "runs": runs}, indent=1) + "\n")
    errors: dict[str, dict[int, list[float]]] = {method: {} for method in METHODS}
    for entry in json.loads(file.read_text(encoding="utf-8"))["runs"]:
        errors[entry["method"]].setdefault(entry["per_class"], []).append(100 * entry["test_error"])
    head = ["images per class", *METHODS]
    print(f"| {' | '.join(head)} |\n| {' | '.join('---' for _ in head)} |")
    for count in errors["frozen"]:
        means = [f"{mean(errors[method][count]):.1f}%" for method in METHODS]
        print(f"| {count} | {' | '.join(means)} |")
    title = "ResNet-8 on digits, from Fashion-MNIST and from scratch"
    figures.save(figures.learning_curves(errors, title), FIGURES / "transfer.svg")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default="0,1,2", help="seeds with commas between")
    parser.add_argument("--source-images", type=int, default=5000, help="of each class of Fashion-MNIST")
    parser.add_argument("--source-epochs", type=int, default=10)
    parser.add_argument("--runs", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--draw", action="store_true", help="only draw")
    parsed = parser.parse_args()
    torch.set_num_threads(parsed.threads)
    main(parsed)
