"""The commands ``evaluate`` and ``predict``: a trained network on other images."""

import json
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archzoo.cli._arguments import Format, log
from archzoo.cli._output import check_output, write
from archzoo.cli._rows import terminal_width, write_rows
from archzoo.cli._training import DataDir, Device, OnCorrupt, OnCorruptOption
from archzoo.errors import DataError, MissingDependency, RecipeError
from archzoo.recipes import TRAINING_IMAGES, read_objects

if TYPE_CHECKING:
    from torch import Tensor

    from archzoo.data import Prepared, Splits
    from archzoo.training import Score, Trained

UNREADABLE = 1  # the exit code where a picture could not be read


class Split(str, Enum):
    """Which images of a dataset."""

    test = "test"
    validation = "validation"
    train = "train"
    all = "all"


File = Annotated[Path, typer.Argument(help="A trained network: net.safetensors of a run directory.")]
OutputFile = Annotated[Path | None, typer.Option(help="A file; standard output by default.")]
FormatOption = Annotated[Format, typer.Option("--format", help="Output format.")]


def evaluate(
    file: File,
    *,
    data: Annotated[str, typer.Option(help=f"{', '.join(TRAINING_IMAGES)}, hub:OWNER/NAME, or a folder.")],
    data_dir: DataDir = None,
    split: Annotated[
        Split, typer.Option("--split", help="The images: the test set, another one, or all.")
    ] = Split.test,
    recipe: Annotated[str, typer.Option(help="The recipe, for a file that does not say how images are prepared.")] = "",
    protocol: Annotated[str, typer.Option(help="The protocol, such as TenCrop(); the recipe's by default.")] = "",
    batch_size: Annotated[int, typer.Option(min=1, help="Images that run together.")] = 128,
    workers: Annotated[int, typer.Option(min=0, help="Processes that decode images.")] = 0,
    on_corrupt: OnCorruptOption = OnCorrupt.error,
    device: Device = "",
    form: FormatOption = Format.table,
    output: OutputFile = None,
) -> None:
    """Evaluate a trained network: accuracy, loss, and what each class is taken for.

    Images are prepared as in its training, and classes correspond by name.
    """
    check_output(output)
    from archzoo.data import load
    from archzoo.training import load_trained, match_classes

    settings = {"protocol": _read_protocol(protocol)} if protocol else {}
    trained = load_trained(file).to(device or None)
    splits = load(data, side=_side(trained), channels=trained.channels, on_corrupt=on_corrupt.value, data_dir=data_dir)
    prepared = trained.prepared or _prepare_anew(trained, data, recipe, splits)
    total: Score | None = None
    for name in ("train", "validation", "test") if split is Split.all else (split.value,):
        images = getattr(splits, name)
        chosen = match_classes(images, trained.classes)
        if len(chosen) < len(images):
            left_out = len(images) - len(chosen)
            log(f"{left_out:,} of the {len(images):,} {name} images have classes that the network does not know")
        if len(chosen):
            score = trained.evaluate(chosen, prepared, batch_size=batch_size, workers=workers, **settings)
            total = score if total is None else total + score
    if total is None:
        raise DataError(f"{data} has no {split.value} images of the classes that the network knows")
    write(_score_text(total, f"{data}, {split.value}", form), output)


def _read_protocol(text: str) -> Any:
    protocols = read_objects("protocol", text)
    if len(protocols) != 1:
        raise RecipeError(f"--protocol must be one, such as TenCrop(), not {text!r}")
    return protocols[0]


def _side(trained: "Trained") -> int:
    from archzoo import find

    return trained.prepared.side if trained.prepared else find(trained.network).input_size[1]


def _prepare_anew(trained: "Trained", data: str, recipe: str, splits: "Splits") -> "Prepared":
    """Preprocessing fitted to the training images of the data, as a recipe has it."""
    from archzoo.data import NORMALIZATION, prepare
    from archzoo.training import choose_recipe

    chosen = choose_recipe(trained.network, data, recipe)
    log(
        f"the file does not say how images are prepared: as recipe {chosen.name} does, by the training images of {data}"
    )
    side, constants = chosen.input_side or _side(trained), NORMALIZATION.get(data)
    return prepare(chosen.augmentation, chosen.preprocessing, splits.train, side, constants)


def _score_text(score: "Score", title: str, form: Format) -> str:
    if form is Format.json:
        return json.dumps({"data": title, **score.to_dict()}, indent=1) + "\n"
    rows = list(_class_rows(score))
    text = write_rows(("class", "images", "correct", "accuracy", "taken_for", "times"), rows, form, terminal_width())
    return text if form is Format.csv else f"{text}\n{title}: {score}\n"


def _class_rows(score: "Score") -> "Iterator[list[Any]]":
    """For each class: its images, the right answers, their share, and the class that it is most often taken for."""
    for number, name in enumerate(score.classes):
        counts = score.confusion[number].clone()
        images, correct = int(counts.sum()), int(counts[number])
        counts[number] = 0
        wrong = int(counts.max())
        taken_for = score.classes[int(counts.argmax())] if wrong else None
        yield [name, images, correct, correct / images if images else None, taken_for, wrong or None]


def predict(
    file: File,
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, and folders of pictures.")],
    *,
    top: Annotated[int, typer.Option(min=1, help="How many classes to print for each picture.")] = 5,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures that run together.")] = 16,
    device: Device = "",
    form: FormatOption = Format.table,
    output: OutputFile = None,
) -> None:
    """Classify pictures with a trained network: the most probable classes, with their probabilities.

    A picture that cannot be read is named, and the others are classified. The exit code is 1 then.
    """
    check_output(output)
    from archzoo.data import find_images
    from archzoo.training import load_trained

    paths = [path for each in pictures for path in (find_images(each) if each.is_dir() else [each])]
    trained = _with_preprocessing(load_trained(file), file).to(device or None)
    rows: list[list[Any]] = []
    for start in range(0, len(paths), batch_size):
        rows += _predict_batch(trained, paths[start : start + batch_size], top)
    read = len({row[0] for row in rows})
    if read:
        write(_predictions_text(rows, form), output)
    if read < len(set(map(str, paths))):
        raise typer.Exit(UNREADABLE)


def _with_preprocessing(trained: "Trained", file: Path) -> "Trained":
    """The network with ImageNet's preprocessing where its file has none and it tells a thousand classes."""
    from dataclasses import replace

    from archzoo.data import NORMALIZATION, imagenet_preparation

    if trained.prepared is not None:
        return trained
    if trained.channels != 3 or trained.net(_blank(trained)).shape[1] != 1000:
        raise DataError(
            f"{file} does not say how its images are prepared, and names no classes: train or fine-tune the network "
            "again, which writes both, or evaluate it with --data"
        )
    mean, std = NORMALIZATION["imagenet"]
    log(f"{file} does not say how its images are prepared: as ImageNet's, with mean {mean} and std {std}")
    return replace(trained, prepared=imagenet_preparation(_side(trained)))


def _blank(trained: "Trained") -> "Tensor":
    import torch

    trained.net.eval()
    return torch.zeros(1, trained.channels, _side(trained), _side(trained))


def _predict_batch(trained: "Trained", paths: Sequence[Path], top: int) -> Iterator[list[Any]]:
    """Rows of picture, rank, class and probability."""
    images = {path: image for path in paths if (image := _read(path, trained.channels)) is not None}
    if not images:
        return
    probabilities = trained.predict(list(images.values()))
    values, numbers = probabilities.topk(min(top, probabilities.shape[1]))
    for path, row, classes in zip(images, values.tolist(), numbers.tolist(), strict=True):
        for rank, (probability, number) in enumerate(zip(row, classes, strict=True), 1):
            yield [str(path), rank, trained.name(number), probability]


def _read(path: Path, channels: int) -> "Tensor | None":
    from archzoo.data import has_colors, read_picture

    try:
        image = read_picture(path, channels)
        if channels == 1 and has_colors(path):
            log(f"{path} is in color, and the network takes one channel: it sees the brightness alone")
    except MissingDependency:
        raise
    except Exception as error:  # Pillow's readers raise nearly anything for a corrupt file
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        log(f"{path} cannot be read: {' '.join(reason.split())}")
        return None
    return image


def _predictions_text(rows: Sequence[Sequence[Any]], form: Format) -> str:
    if form is Format.json:
        pictures: dict[str, list[dict[str, Any]]] = {}
        for picture, _, name, probability in rows:
            pictures.setdefault(picture, []).append({"class": name, "probability": probability})
        return (
            json.dumps([{"picture": name, "predictions": values} for name, values in pictures.items()], indent=1) + "\n"
        )
    if form is not Format.csv:
        rows = [["" if rank > 1 else picture, rank, name, probability] for picture, rank, name, probability in rows]
    return write_rows(("picture", "rank", "class", "probability"), rows, form, terminal_width())
