"""Folders as people have them: splits of any name, links, leftovers, few images. Nothing is silently wrong."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from archzoo.data import ImageSet, Splits, describe, find_images, load, load_pictures
from archzoo.data import _scanning as scanning
from archzoo.data._split_names import roles_of
from archzoo.data._splits import split_by_class, warn_of_missing_classes
from archzoo.errors import DataError

Image = pytest.importorskip("PIL.Image")


def draw(root: Path, *folders: str, count: int = 10) -> Path:
    """Put so many images into each of these folders."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(root / folder / f"{number:02}.png")
    return root


def sizes(splits: Splits) -> list[int]:
    return [len(part) for part in vars(splits).values()]


def text_of(splits: Splits) -> str:
    return "\n".join(describe(splits))


NAMES = {
    "train": "train Train TRAIN training Training trainset train_set train-images TrainData train2017 trains trainval",
    "val": "val Val valid Valid validation Validation VALIDATION val_set validation-data vals dev Dev eval evaluation",
    "test": "test Test TEST testing Testing tests testset test_images Test_Set test1 TestData",
}


@pytest.mark.parametrize(("name", "role"), [(name, role) for role, names in NAMES.items() for name in names.split()])
def test_a_split_is_one_in_every_usual_spelling(name: str, role: str) -> None:
    assert roles_of([name, "cats"]) == {name: role}


@pytest.mark.parametrize(
    "name", ["latest", "contest", "crash_test", "restraint", "devil", "evaluator", "value", "trainer"]
)
def test_a_class_that_sounds_like_a_split_is_a_class(name: str) -> None:
    assert roles_of([name, "cats"]) == {}


def test_another_word_may_stand_beside_a_split_where_two_splits_have_it() -> None:
    assert roles_of(["seg_train", "seg_test", "seg_pred"]) == {"seg_train": "train", "seg_test": "test"}
    assert roles_of(["train_cats", "train_dogs"]) == {}
    assert roles_of(["Test Set", "Train Set (1)"]) == {"Test Set": "test", "Train Set (1)": "train"}


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("Training/a", "Training/b", "Testing/a", "Testing/b"), [18, 2, 20]),
        (("train/a", "train/b", "valid/a", "valid/b", "TEST/a", "TEST/b"), [20, 20, 20]),
        (("Train/a", "Train/b", "Validation/a", "Validation/b"), [18, 2, 20]),
        (("pets/train/a", "pets/train/b", "pets/test/a", "pets/test/b"), [18, 2, 20]),  # as archives have it
        (("seg_train/seg_train/a", "seg_train/seg_train/b", "seg_test/seg_test/a", "seg_test/seg_test/b"), [18, 2, 20]),
        (("train/a", "train/b", "test/a", "test/b", "unlabeled"), [18, 2, 20]),
    ],
)
def test_splits_are_no_classes(folders: tuple[str, ...], expected: list[int], tmp_path: Path) -> None:
    splits = load(draw(tmp_path / "d", *folders))
    assert splits.train.classes == splits.test.classes == ("a", "b")
    assert sizes(splits) == expected
    text = text_of(splits)
    assert ("ignored unlabeled, which is no split" in text) == ("unlabeled" in folders)
    assert ("the only folder in" in text) == any(folder.count("/") == 2 for folder in folders)


def test_trains_are_a_class_among_vehicles_and_it_is_said(tmp_path: Path) -> None:
    splits = load(draw(tmp_path / "d", "bus", "car", "train"))
    assert splits.train.classes == ("bus", "car", "train")
    assert "data: train is read as a class, as bus, car are" in text_of(splits)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("cats",), "has one class only, cats, with 10 images: give a folder with a folder of images for each class"),
        (
            ("d/cats", "d/dogs"),
            "has one class only, d, with 20 images: if its folders cats, dogs are the classes, give .*/d",
        ),
        (("train/cats", "test/cats"), "train has one class only, cats"),
        ((".",), "has 10 images and no folders of classes: put the images of each class into a folder"),
        (("train", "test"), "train has 10 images and no folders of classes, so that they have no labels: put"),
        (
            ("train/a", "train/b", "test"),
            "test has 10 images and no folders of classes.*give .*train, of which a fifth",
        ),
        (("train/a", "train/b", "val/a", "val/b", "test1"), "test1 has 10 images and no folders.*move it elsewhere"),
        (("train/a", "train/b", "test/test"), "test/test has 10 images and no folders of classes"),
        (("train/a", "train/b", "test/unknown"), "differ in their classes: unknown is not trained"),
        (("train/a", "train/b"), "has train but no val or test: add one, or give .*train, of which a fifth becomes"),
        (("train/a", "train/b", "cats"), "has train but no val or test, and other folders .cats."),
        (("test/a", "val/a"), "has val, test but no train"),
        (("cats", "dogs", "test"), "has test but no train, and other folders .cats, dogs."),
        (("train/a", "Training/a", "test/a"), "Training and train, which name the same split: rename or remove"),
        (("val/a", "valid/a", "train/a"), "val and valid, which name the same split"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_no_labeled_dataset_is_refused_with_what_was_found(
    folders: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        load(draw(tmp_path / "d", *folders))


def touch(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"")


LEFTOVERS = (
    *("._00.png", "a/._00.png", ".DS_Store", "a/Thumbs.db", "desktop.ini", "a/00.png~", "b/.#00.png", "a/#00.png#"),
    *("__MACOSX/a/00.png", "a/.ipynb_checkpoints/00-checkpoint.png", "a/@eaDir/00.png/THUMB.jpg", ".thumbnails/1.png"),
    *(
        "$RECYCLE.BIN/1.png",
        "System Volume Information/1.png",
        "b/lost+found/1.png",
        "#recycle/1.png",
        "a/.Trashes/1.png",
    ),
)


def test_what_systems_and_editors_leave_behind_is_no_data(tmp_path: Path) -> None:
    root = draw(tmp_path / "d", "a", "b")
    touch(root, *LEFTOVERS)
    splits = load(root)
    assert (sum(sizes(splits)), splits.train.classes) == (20, ("a", "b"))
    assert f"data: ignored {len(LEFTOVERS)} leftovers of systems and editors, ._* 2, " in text_of(splits)
    assert len(find_images(root)) == 20


def test_the_number_of_ignored_files_is_told_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw(tmp_path / "d", "a", "b")
    touch(root, "a/1.txt", "b/2.txt", "labels.csv", "a/README", "b/film.mpg", "beside.png", ".DS_Store")
    for folder in (root, root / "a", root / "b"):
        os.utime(folder, (time.time() - 60,) * 2)
    first = text_of(load(root))
    assert "data: ignored 5 files that Pillow does not read, .txt 2, " in first
    assert "data: ignored 1 image beside the folders" in first
    monkeypatch.setattr(scanning, "_scan", lambda *_: pytest.fail("scanned again"))
    assert text_of(load(root)) == first


def test_files_beside_splits_are_told_of_too(tmp_path: Path) -> None:
    root = draw(tmp_path / "d", "train/a", "train/b", "test/a", "test/b")
    touch(root, "labels.csv", "beside.png", ".DS_Store", "test/list.txt")
    lines = describe(load(root))
    assert lines[4:] == [
        "data: ignored 1 file that Pillow does not read, .csv 1",
        "data: ignored 1 leftover of systems and editors, .DS_Store 1",
        "data: ignored 1 image beside the folders",
        "data: test: ignored 1 file that Pillow does not read, .txt 1",
    ]


def test_a_class_of_files_that_are_not_read_says_which(tmp_path: Path) -> None:
    root = draw(tmp_path / "d", "a", "b")
    touch(root, "c/1.raw", "c/2.raw")
    with pytest.raises(DataError, match=r"no images of c: add some.*ignored 2 files that Pillow does not read, .raw 2"):
        load(root)


def link(path: Path, to: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to)


def test_linked_folders_are_followed_and_loops_are_named(tmp_path: Path) -> None:
    elsewhere = draw(tmp_path / "elsewhere", "x", "y", "z")
    root = draw(tmp_path / "d", "a")
    link(root / "b", elsewhere / "x")
    link(root / "a" / "more", elsewhere / "y")
    link(root / "a" / "loop", root)
    link(root / "a" / "here", root / "a")
    link(root / "b.png", elsewhere / "z" / "00.png")
    splits = load(root)
    assert torch.cat([part.labels for part in vars(splits).values()]).bincount().tolist() == [20, 10]
    text = text_of(splits)
    assert "data: did not follow a/here, a/loop, which lead back to a folder around them" in text
    assert "ignored 1 image beside the folders" in text
    link(root / "b" / "again", elsewhere / "y")
    assert "the images of linked folders are there twice: b/again is a/more" in text_of(load(root))


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({"c": "nowhere"}, r"d/c cannot be read \(No such file or directory\): mend or remove it"),
        ({"a/inside": "nowhere"}, r"a/inside cannot be read"),
        ({"c": "d/a"}, "has one folder as two classes, c is a: remove a link"),
        ({"c": "d/c"}, "cannot be read"),
    ],
)
def test_links_that_cannot_be_followed_or_mix_classes_are_refused(
    links: dict[str, str], message: str, tmp_path: Path
) -> None:
    root = draw(tmp_path / "d", "a", "b")
    for path, to in links.items():
        link(root / path, tmp_path / to)
    with pytest.raises(DataError, match=message):
        load(root)


def test_images_are_not_trained_and_tested_by_a_link(tmp_path: Path) -> None:
    root = draw(tmp_path / "d", "train/a", "train/b", "test/b")
    link(root / "test" / "a", root / "train" / "a")
    with pytest.raises(DataError, match=r"test/a and .*train/a are the same folder: remove a link"):
        load(root)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    root = draw(tmp_path / "d", "a", "b")
    os.mkfifo(root / "a" / "pipe.png")
    assert "ignored 1 file that Pillow does not read, .png 1" in text_of(load(root))


def counts_of(splits: Splits) -> list[list[int]]:
    return [part.labels.bincount(minlength=len(part.classes)).tolist() for part in vars(splits).values()]


def labeled(counts: Sequence[int]) -> ImageSet:
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    labels = labels[torch.randperm(len(labels))]
    pixels = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    return ImageSet.from_tensor("x", pixels, labels, [f"c{label}" for label in range(len(counts))])


@pytest.mark.parametrize(
    ("counts", "share", "fewest", "expected"),
    [
        ([50, 30, 20], 0.1, 0, [5, 3, 2]),
        ([7, 7, 6], 0.2, 0, [2, 1, 1]),  # 1.4, 1.4 and 1.2 of 4
        ([17, 3], 0.1, 0, [2, 0]),  # 1.7 and 0.3 of 2
        ([8, 8, 8], 0.1, 0, [1, 1, 1]),  # 0.8 each, which is nearer to 1 than to 0
        ([17, 3], 0.1, 1, [2, 1]),
        ([8, 1, 1], 0.5, 1, [4, 0, 0]),  # one image is trained on; 4, 0.5 and 0.5 of 5
        ([3] * 60, 0.2, 1, [1] * 60),
    ],
)
def test_a_split_has_the_same_share_of_each_class(
    counts: list[int], share: float, fewest: int, expected: list[int]
) -> None:
    images = labeled(counts)
    splits = split_by_class(images, images, share, 0, fewest=fewest)
    train, validation, _ = counts_of(splits)
    assert validation == expected
    assert train == [count - taken for count, taken in zip(counts, expected, strict=True)]
    together = torch.cat([splits.train.offsets, splits.validation.offsets])
    assert together.sort().values.tolist() == list(range(len(images)))


def test_which_images_are_set_aside_depends_on_the_seed_alone() -> None:
    images = labeled([40, 60])
    first, again, other = (split_by_class(images, images, 0.2, seed).validation.offsets for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.slow
def test_sixty_classes_of_three_images_are_all_tested_and_those_not_validated_are_named(tmp_path: Path) -> None:
    names = [f"c{number:02}" for number in range(60)]
    root = draw(tmp_path / "d", *names, count=3)
    with pytest.warns(UserWarning, match="the validation images have none of 48 of 60 classes: c12, c13, .*, c59$"):
        splits = load(root)
    train, validation, test = counts_of(splits)
    assert (sum(train), sum(validation), test) == (108, 12, [1] * 60)
    assert "c00, c01, c02, c03, c04, 55 more; of each, 1 to 2 train, 0 to 1 validation, 1 to 1 test" in text_of(splits)


def test_classes_that_a_part_of_a_named_split_lacks_are_named_and_the_numbers_stay(tmp_path: Path) -> None:
    root = draw(tmp_path / "d", "train/a", "train/b", "train/c", "val/a", "val/b", "val/c", "test/c", "test/a")
    with pytest.warns(UserWarning, match="the test images have none of 1 of 3 classes: b$"):
        splits = load(root)
    assert splits.test.classes == ("a", "b", "c")
    assert splits.test.labels.unique().tolist() == [0, 2]
    draw(root, "train/0")  # which changes the numbers of all others
    with pytest.warns(UserWarning, match="have none"):
        assert load(root).test.labels.unique().tolist() == [1, 3]


def test_nothing_is_warned_of_where_all_classes_are_there() -> None:
    images = labeled([5, 5])
    warn_of_missing_classes(split_by_class(images, images, 0.4, 0))


def test_classes_and_counts_of_each_split_are_described(tmp_path: Path) -> None:
    root = draw(tmp_path / "d", "a")
    draw(root, "bees", count=20)
    lines = describe(load(root))
    assert lines[:4] == [
        "data: 2 classes, 22 train, 2 validation, 6 test images",
        "             train  validation        test",
        "  a              7           1           2",
        "  bees          15           1           4",
    ]


def test_a_folder_of_pictures_to_look_at_leaves_out_the_same(tmp_path: Path) -> None:
    root = draw(tmp_path / "d", ".", "more")
    touch(root, "._00.png", "__MACOSX/00.png")
    assert len(load_pictures(root)) == 20
    with pytest.raises(DataError, match="nowhere has no images: it is no folder"):
        find_images(tmp_path / "nowhere")
