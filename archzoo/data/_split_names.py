"""Which names of folders are those of splits, in any usual spelling."""

import re
from collections.abc import Iterable, Mapping

# The words that name a split, in the singular.
WORDS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "dev", "devel", "development"), "val"),
    **dict.fromkeys(("eval", "evaluation", "evaluate"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
# Words beside them that say nothing: training_set, test images, train2017.
FILLERS = frozenset({"set", "data", "dataset", "split", "image", "img", "picture", "pic", "photo", "folder", "dir"})
PART_OF_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_]+")
FUSED = re.compile(f"({'|'.join(sorted(WORDS, key=len, reverse=True))})({'|'.join(sorted(FILLERS, key=len))})s?")


def roles_of(names: Iterable[str]) -> dict[str, str]:
    """Which of these folders beside each other are splits, and which: train, val or test.

    Words that say nothing may stand beside that of the split, and others where they stand in the names of two splits,
    as in seg_train and seg_test.
    """
    read = {name: _read_name(name) for name in names}
    splits = {name: words for name, words in read.items() if words is not None}
    rests: dict[str, set[str]] = {}
    for role, rest in splits.values():
        rests.setdefault(rest, set()).add(role)
    return {name: role for name, (role, rest) in splits.items() if not rest or len(rests[rest]) > 1}


def _read_name(name: str) -> tuple[str, str] | None:
    """The split that a name names, and its other words; None where it names none, or several."""
    words = [_singular(word.lower()) for word in PART_OF_WORD.findall(name)]
    words = [part for word in words for part in _parts_of(word)]
    roles = [WORDS[word] for word in words if word in WORDS]
    if len(roles) != 1 and set(roles) != {"train", "val"}:  # train_val holds both, to train on
        return None
    return "train" if "train" in roles else roles[0], " ".join(
        word for word in words if word not in WORDS and word not in FILLERS
    )


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and word[:-1] in WORDS.keys() | FILLERS else word


def _parts_of(word: str) -> tuple[str, ...]:
    """A word, or the two that are written as one: testset."""
    fused = FUSED.fullmatch(word)
    return fused.groups() if fused else (word,)
