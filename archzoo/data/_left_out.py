"""What a folder holds that is not read, in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

NAMED = 5  # names in a message


def counted(number: int, thing: str) -> str:
    """A number of things: 1 image, 2,000 images, 2 classes."""
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """Names with commas between, and how many more there are."""
    more = [f"{len(names) - most:,} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])


@dataclass
class LeftOut:
    """What a walk of a folder leaves out.

    Attributes:
        others: Files that are no images, by suffix.
        leftovers: Files and folders of operating systems and editors, by name.
        beside: Images beside the folders of classes or of splits.
        loops: Linked folders that lead back to a folder around them.
    """

    others: Counter[str] = field(default_factory=Counter)
    leftovers: Counter[str] = field(default_factory=Counter)
    beside: int = 0
    loops: list[str] = field(default_factory=list)

    def describe(self) -> list[str]:
        """One line for each kind that there is."""
        others, leftovers, beside = sum(self.others.values()), sum(self.leftovers.values()), self.beside
        lines = {
            f"ignored {counted(others, 'file')} that Pillow does not read, {_most(self.others)}": others,
            f"ignored {counted(leftovers, 'leftover')} of systems and editors, {_most(self.leftovers)}": leftovers,
            f"ignored {counted(beside, 'image')} beside the folders": beside,
            f"did not follow {listed(self.loops)}, which lead back to a folder around them": len(self.loops),
        }
        return [line for line, count in lines.items() if count]


def _most(counts: Counter[str]) -> str:
    return listed([f"{name} {count:,}" for name, count in counts.most_common()])
