"""Plain and residual networks of 20 and 56 layers, as Fig. 6 of ResNet, in a time that two cores can spend.

    python benchmarks/residual.py [--networks NAME,...] [--seed 0,1,2] [--epochs N] [--per-class N] [--draw]

ResNet's recipe for CIFAR-10, with its schedule shortened in proportion, on a part of Fashion-MNIST, at half its size:
14x14 pixels, crops padded by 2. The solid lines are errors on images that are set aside, on which nothing is chosen.
Writes docs/figures/residual.json and residual.svg. Rerun to resume; ``--draw`` draws all runs as far as they are, or
up to the iteration that ``--until`` names.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import torch

from archzoo.files import write_text
from archzoo.recipes import MultiStepFraction, RandomCrop, RandomHorizontalFlip, Resize
from archzoo.report import figures
from archzoo.training import RunConfig, run

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
PANELS = {"plain": ("plain20", "plain56"), "residual": ("resnet20", "resnet56")}
SIDE = 14
VALIDATION = 0.02  # of the 60,000: 1,200 images
SHOWN = ("iteration", "lr", "train_error", "validation_error")


def train(network: str, seed: int, epochs: int, per_class: int, runs: Path) -> None:
    """One run, which is resumed where it has begun."""
    run(
        network,
        data="fashion_mnist",
        recipe="resnet_cifar10",
        changes={
            "epochs": epochs,
            "schedule": MultiStepFraction((0.5, 0.75)),  # of 64,000 iterations, after 32,000 and 48,000
            "augmentation": (Resize(SIDE), RandomCrop(padding=2), RandomHorizontalFlip()),
            "input_side": SIDE,
        },
        per_class=per_class,
        validation=VALIDATION,
        run_dir=runs / f"{network}-{seed}",
        config=RunConfig(seed=seed),
        device="cpu",
    )


def describe(folder: Path, until: int) -> dict[str, Any]:
    """What the figure shows of a run up to an iteration, and how it was made."""
    made = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    with (folder / "log.csv").open(newline="") as file:
        rows = [{name: round(float(row[name]), 4) for name in SHOWN} for row in csv.DictReader(file)]
    rows = [row for row in rows if row["iteration"] <= until]
    setting = {"network": made["network"], "seed": made["config"]["seed"], "per_class": made["per_class"]}
    return {**setting, "epochs": made["recipe"]["epochs"], "rows": rows}


def draw(runs: list[dict[str, Any]]) -> None:
    """Both panels, each network with all of its runs."""
    panels = {
        title: {name: [run["rows"] for run in runs if run["network"] == name] for name in names}
        for title, names in PANELS.items()
    }
    title = f"Fashion-MNIST at {SIDE}x{SIDE}, {runs[0]['per_class']} images per class"
    figures.save(figures.error_curves(panels, title), FIGURES / "residual.svg")


def main(arguments: argparse.Namespace) -> None:
    """Train the networks for each seed, write the file, draw, and print the last errors."""
    names = [name for pair in PANELS.values() for name in pair]
    if not arguments.draw:
        for seed in map(int, arguments.seed.split(",")):
            for name in arguments.networks.split(",") if arguments.networks else names:
                train(name, seed, arguments.epochs, arguments.per_class, arguments.runs)
    folders = [folder for name in names for folder in sorted(arguments.runs.glob(f"{name}-*"))]
    runs = [describe(folder, arguments.until) for folder in folders]
    write_text(FIGURES / "residual.json", json.dumps({"runs": runs}, indent=1) + "\n")
    draw(runs)
    for entry in runs:
        last = entry["rows"][-1]
        errors = f"training {last['train_error']:.1%}, validation {last['validation_error']:.1%}"
        print(f"{entry['network']} seed {entry['seed']}: {errors} after {last['iteration']:.0f} iterations")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="", help="networks with commas between; all four by default")
    parser.add_argument("--seed", default="0", help="seeds with commas between")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--per-class", type=int, default=600)
    parser.add_argument("--runs", type=Path, default=Path("runs/residual"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--until", type=int, default=10**9, help="the last iteration that is drawn")
    parser.add_argument("--draw", action="store_true", help="only draw")
    parsed = parser.parse_args()
    torch.set_num_threads(parsed.threads)
    main(parsed)
