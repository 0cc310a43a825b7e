"""Where the splits of a folder of images are, and whether they can be used."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from archzoo.data._formats import image_suffixes
from archzoo.data._left_out import LeftOut, counted, listed
from archzoo.data._scanning import named_if_unreadable
from archzoo.data._split_names import roles_of
from archzoo.data._walking import Walk
from archzoo.errors import DataError

A_CLASS_TOO = frozenset({"train", "trains"})  # among folders of vehicles


@dataclass(frozen=True)
class Layout:
    """Where the images of a dataset are.

    Attributes:
        root: The folder, or the one inside it that holds all.
        parts: The folders of the splits; none where the folder has classes alone.
        notes: What was decided, in words.
    """

    root: Path
    parts: Mapping[str, Path]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Content:
    """What is directly in a folder: its folders, sorted, the number of its images, and what else there is."""

    folders: tuple[str, ...]
    images: int
    left_out: LeftOut


def read_content(folder: Path) -> Content:
    """What is directly in a folder. Raises DataError where it, or a link in it, cannot be read."""
    walk = Walk(str(folder), image_suffixes())
    with named_if_unreadable(folder):
        folders, images = walk.read("")
    return Content(tuple(sorted(folders)), len(images), replace(walk.left_out, beside=len(images)))


def find_layout(root: Path) -> Layout:
    """Where the splits of a folder are. Raises DataError where that is ambiguous, or some have no labels."""
    inner = _inner(root)
    notes: tuple[str, ...] = () if inner == root else (f"read {inner}, the only folder in {root}",)
    content = read_content(inner)
    roles = roles_of(content.folders)
    others = [name for name in content.folders if name not in roles]
    if not roles or _are_classes(inner, roles, others):
        if content.images and not content.folders:
            raise DataError(
                f"{root} has {counted(content.images, 'image')} and no folders of classes: put the images of each "
                "class into a folder of its own"
            )
        taken = [f"{name} is read as a class, as {listed(others)} are" for name in roles]
        return Layout(inner, {}, (*notes, *taken))
    parts = _parts(inner, roles, others)
    notes += tuple(f"read {part}, the only folder in {part.parent}" for part in parts.values() if part.parent != inner)
    _check_labels(parts)
    if others:
        notes += (f"ignored {listed(others)}, which {'is no split' if len(others) == 1 else 'are no splits'}",)
    return Layout(inner, parts, (*notes, *content.left_out.describe()))


def _inner(folder: Path) -> Path:
    """The folder that has the splits, where one without images is around it alone, as archives have it."""
    content = read_content(folder)
    if content.images or len(content.folders) != 1:
        return folder
    inner = folder / content.folders[0]
    return inner if len(set(roles_of(read_content(inner).folders).values())) > 1 else folder


def _are_classes(root: Path, roles: Mapping[str, str], others: list[str]) -> bool:
    """Whether the only folder that is named as a split is a class among others: trains among buses and cars."""
    if len(roles) > 1 or len(others) < 2 or not {name.lower() for name in roles} <= A_CLASS_TOO:
        return False
    contents = [read_content(root / name) for name in (*roles, *others)]
    return all(content.images and not content.folders for content in contents)


def _parts(root: Path, roles: Mapping[str, str], others: list[str]) -> dict[str, Path]:
    by_role: dict[str, list[str]] = {}
    for name, role in sorted(roles.items()):
        by_role.setdefault(role, []).append(name)
    for same in by_role.values():
        if len(same) > 1:
            raise DataError(f"{root} has {' and '.join(same)}, which name the same split: rename or remove all but one")
    names: dict[str, str] = {role: by_role[role][0] for role in ("train", "val", "test") if role in by_role}
    if "train" not in names or len(names) == 1:
        _refuse_incomplete(root, names, others)
    return {role: _unwrapped(root / name, role) for role, name in names.items()}


def _refuse_incomplete(root: Path, names: Mapping[str, str], others: list[str]) -> None:
    missing = "val or test" if "train" in names else "train"
    message = f"{root} has {', '.join(names.values())} but no {missing}"
    if others:
        message += f", and other folders ({listed(others)})"
    if "train" in names and not others:
        alone = root / names["train"]
        raise DataError(f"{message}: add one, or give {alone}, of which a fifth becomes the test set")
    raise DataError(f"{message}: add it, or leave only folders of classes")


def _unwrapped(part: Path, role: str) -> Path:
    """The folder of a split, or the one inside it alone that is named as the split too: test/test."""
    content = read_content(part)
    if content.images or len(content.folders) != 1:
        return part
    is_again = part.name == content.folders[0] or set(roles_of(content.folders).values()) == {role}
    return _unwrapped(part / content.folders[0], role) if is_again else part


def _check_labels(parts: Mapping[str, Path]) -> None:
    """Raise DataError where a split has images but no folders of classes, as test sets of competitions."""
    for role, part in parts.items():
        content = read_content(part)
        if content.images and not content.folders:
            raise DataError(
                f"{part} has {counted(content.images, 'image')} and no folders of classes, so that they have no "
                f"labels: {_remedy(role, parts)}"
            )


def _remedy(role: str, parts: Mapping[str, Path]) -> str:
    if role == "train":
        return "put the images of each class into a folder of its own"
    if len(parts) == 3:
        return "move it elsewhere, as the other two are enough"
    return f"give {parts['train']}, of which a fifth becomes the test set"
