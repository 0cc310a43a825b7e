"""Plain and residual networks of 20 and 56 layers, as Fig. 6 of ResNet, in a time that two cores can spend.

    python benchmarks/residual.py [--seed 0,1,2] [--epochs N] [--per-class N] [--runs DIR] [--threads N] [--draw]

ResNet's recipe for CIFAR-10, with its schedule shortened in proportion, on a part of Fashion-MNIST, at half its size:
14x14 pixels, crops padded by 2. The solid lines are errors on images that are set aside, on which nothing is chosen;
the test images are asked once, at the end. Writes docs/figures/residual.json and residual.svg. Rerun to resume;
``--draw`` draws what was run before.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from archzoo.files import write_text
from archzoo.recipes import MultiStepFraction, RandomCrop, RandomHorizontalFlip, Resize
from archzoo.report import figures
from archzoo.training import RunConfig, TrainResult, run

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
PANELS = {"plain": ("plain20", "plain56"), "residual": ("resnet20", "resnet56")}
SIDE = 14
VALIDATION = 0.02  # of the 60,000: 1,200 images
SHOWN = ("iteration", "train_error", "validation_error")


def train(network: str, seed: int, epochs: int, per_class: int, runs: Path) -> TrainResult:
    """One run, or what it left where it has been made."""
    return run(
        network,
        data="fashion_mnist",
        recipe="resnet_cifar10",
        changes={
            "iterations": None,
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


def describe(result: TrainResult) -> dict[str, Any]:
    """What the figure shows of a run, and what it cost."""
    values = result.result
    return {
        "network": values["network"],
        "seed": values["seed"],
        "images": values["images"],
        "seconds": round(sum(row["seconds"] for row in result.history), 1),
        "test_error": round(1 - result.test.top1, 4),
        "rows": [{name: round(row[name], 4) for name in SHOWN} for row in result.history],
    }


def draw(runs: list[dict[str, Any]]) -> None:
    """Both panels, each network with all of its runs."""
    panels = {
        title: {name: [run["rows"] for run in runs if run["network"] == name] for name in names}
        for title, names in PANELS.items()
    }
    images, seeds = runs[0]["images"], {run["seed"] for run in runs}
    title = (
        f"Fashion-MNIST at {SIDE}x{SIDE}: {images['train']:,} training and {images['validation']:,} validation images, "
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    )
    figures.save(figures.error_curves(panels, title), FIGURES / "residual.svg")


def main(arguments: argparse.Namespace) -> None:
    """Train all four networks for each seed, write the file after each run, and draw."""
    file = FIGURES / "residual.json"
    if not arguments.draw:
        names = [name for pair in PANELS.values() for name in pair]
        done = []
        for seed in map(int, arguments.seed.split(",")):
            for name in names:
                result = train(name, seed, arguments.epochs, arguments.per_class, arguments.runs)
                done.append(describe(result))
                content = {"data": result.result["data_origin"], "versions": result.result["versions"], "runs": done}
                write_text(file, json.dumps(content, indent=1) + "\n")
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"]
    draw(runs)
    for entry in runs:
        last = entry["rows"][-1]
        errors = f"training {last['train_error']:.2%}, validation {last['validation_error']:.2%}"
        print(f"{entry['network']:10} seed {entry['seed']}: {errors}, test {entry['test_error']:.2%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default="0", help="seeds with commas between")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--per-class", type=int, default=600)
    parser.add_argument("--runs", type=Path, default=Path("runs/residual"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--draw", action="store_true", help="only draw")
    parsed = parser.parse_args()
    torch.set_num_threads(parsed.threads)
    main(parsed)
