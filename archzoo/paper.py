"""One paper and everything that it says: networks, printed numbers, results and recipes. Imports no torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archzoo.claims import Claim
from archzoo.errors import RegistrationError
from archzoo.read_only import ReadOnlyDict
from archzoo.recipes import Recipe

# Columns of errors in percent: what a result is measured on.
DATA = {
    "imagenet top-1": "ImageNet, top-1",
    "imagenet top-5": "ImageNet, top-5",
    "cifar10+": "CIFAR-10, shifted and mirrored",
    "cifar100+": "CIFAR-100, shifted and mirrored",
    "cifar10": "CIFAR-10 without augmentation",
    "cifar100": "CIFAR-100 without augmentation",
    "svhn": "SVHN",
    "mnist": "MNIST",
    "fashion_mnist+": "Fashion-MNIST, shifted and mirrored",
}
TOP_1_AND_5 = ("imagenet top-1", "imagenet top-5")
CIFAR_AND_SVHN = ("cifar10", "cifar10+", "cifar100", "cifar100+", "svhn")
CIFAR_AUGMENTED = ("cifar10+", "cifar100+")


@dataclass(frozen=True)
class Network:
    """A network that a paper describes, or a published setting of one. ``constructor`` is ``module:function``.

    ``fixed`` are the options that make a setting what its name says.
    """

    name: str
    constructor: str
    input_size: tuple[int, int, int]
    claims: tuple[Claim, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict, hash=False)
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "fixed", ReadOnlyDict(self.fixed))
        if not all(isinstance(name, str) for name in (self.name, *self.aliases)):
            raise RegistrationError(f"{self.name}: names and aliases must be text, not {self.aliases!r}")
        if not _is_size(self.input_size):
            raise RegistrationError(
                f"{self.name}: input_size must be channels, height and width such as (3, 224, 224), not "
                f"{self.input_size!r}"
            )
        for claim in self.claims:
            if not isinstance(claim, Claim):
                raise RegistrationError(
                    f"{self.name}: a claim must be made by a function of archzoo.claims such as params, not {claim!r}"
                )


def _is_size(size: Any) -> bool:
    """Whether it is (channels, height, width)."""
    return isinstance(size, tuple) and len(size) == 3 and all(type(side) is int and side > 0 for side in size)


@dataclass(frozen=True)
class NotCountable:
    """A printed number that no count can check, such as a clock time, and the reason."""

    printed: str
    where: str
    why: str


@dataclass(frozen=True)
class Result:
    """One published error in percent.

    Attributes:
        name: The network.
        data: The column of DATA.
        error: The error, or the mean of several runs.
        protocol: How the network is evaluated.
        where: Where it is printed.
        options: Those of the network that differ from its defaults.
        confirmed: Whether it is read in the paper, not quoted from memory.
        spread: The printed deviation of several runs.
        digits: The printed digits after the point, where the last one is 0; those of the number otherwise.
        recipe: The recipe that it is the result of, where the paper states several.
        note: What is known about it, such as that it was printed on other data than can be had.
    """

    name: str
    data: str
    error: float
    protocol: str
    where: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    confirmed: bool = True
    spread: float | None = None
    digits: int | None = None
    recipe: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", ReadOnlyDict(self.options))

    @property
    def tolerance(self) -> float:
        """What it leaves open: its printed deviation, or half a unit of its last digit."""
        return self.spread or float(0.5 * 10**-self._decimals)

    @property
    def text(self) -> str:
        """The error as it is printed: 4.39% +- 0.08%."""
        spread = "" if self.spread is None else f" +- {self.spread:.{self._decimals}f}%"
        return f"{self.error:.{self._decimals}f}%{spread}"

    @property
    def _decimals(self) -> int:
        return len(str(self.error).partition(".")[2]) if self.digits is None else self.digits


Printed = float | tuple[float, float] | None  # an error; with its deviation; an empty cell


@dataclass(eq=False)
class Paper:
    """A paper: its title, authors, year and link, and what it says.

    ``models`` is the module with its constructors. A file in ``archzoo/papers`` makes one, or several where a later
    paper changes the same networks, and calls the methods below for all that is printed. One with results and recipes
    of other papers' networks alone has no ``models``.
    """

    title: str
    authors: str
    year: int
    link: str
    models: str = ""
    networks: tuple[Network, ...] = field(default=(), init=False, repr=False)
    statements: tuple[tuple[str, Claim], ...] = field(default=(), init=False, repr=False)
    uncountable: tuple[NotCountable, ...] = field(default=(), init=False, repr=False)
    published_results: tuple[Result, ...] = field(default=(), init=False, repr=False)
    recipes: tuple[Recipe, ...] = field(default=(), init=False, repr=False)
    without_recipe: Mapping[str, str] = field(default_factory=ReadOnlyDict, init=False, repr=False)
    _complete: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("title", "authors", "link", "models"):
            if not isinstance(getattr(self, name), str):
                raise RegistrationError(f"the {name} of a paper must be text, not {getattr(self, name)!r}")
        if type(self.year) is not int:
            raise RegistrationError(f"{self.title}: year must be an integer, not {self.year!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if vars(self).get("_complete", False):
            self._check_open()
        super().__setattr__(name, value)

    def complete(self) -> None:
        """Accept no more statements: the registry calls it, which reads them once for all who ask."""
        object.__setattr__(self, "_complete", True)

    def _state(self, kind: str, *statements: Any) -> None:
        """Add statements to one of the tuples above. Raises RegistrationError for a paper that is loaded."""
        self._check_open()
        setattr(self, kind, (*getattr(self, kind), *statements))

    def _check_open(self) -> None:
        if self._complete:
            raise RegistrationError(f"{self.title!r} is loaded: state all that it says where it is made")

    def network(self, name: str, *claims: Claim, input_size: tuple[int, int, int], aliases: Sequence[str] = ()) -> None:
        """Declare a network, built by the function of its name in ``models``, and what is printed about it."""
        self._state("networks", Network(name, f"{self.models}:{name}", input_size, claims, {}, _names(aliases)))

    def setting(self, name: str, *claims: Claim, of: str, aliases: Sequence[str] = (), **options: Any) -> None:
        """Declare a published setting of one of this paper's networks, under a name of its own."""
        family = next((network for network in self.networks if network.name == of), None)
        if family is None:
            raise RegistrationError(f"setting {name!r} is of {of!r}, which {self.title!r} does not declare before it")
        network = Network(name, family.constructor, family.input_size, claims, options, _names(aliases))
        self._state("networks", network)

    def prints(self, name: str, *claims: Claim) -> None:
        """State what this paper prints about a network, its own or another paper's, by name."""
        self._state("statements", *((name, claim) for claim in claims))

    def not_countable(self, printed: str, where: str, why: str) -> None:
        """Note a printed number that no count can check, with the reason."""
        self._state("uncountable", NotCountable(printed, where, why))

    def results(
        self,
        where: str,
        columns: Sequence[str],
        protocol: str,
        errors: Mapping[str, Sequence[Printed]],
        *,
        confirmed: bool = True,
        digits: int | None = None,
        recipe: str = "",
        note: str = "",
        **options: Any,
    ) -> None:
        """State a printed table of errors in percent: a row for each network, in the order of the columns.

        An error with its deviation over several runs is a pair. ``options`` are those of the networks in this table
        that differ from their defaults; ``digits``, ``recipe`` and ``note`` are those of ``Result``.
        """
        about = {"options": options, "confirmed": confirmed, "digits": digits, "recipe": recipe, "note": note}
        for name, row in errors.items():
            self._state("published_results", *_read_row(name, row, where, columns, protocol, about))

    def recipe(self, name: str, **values: Any) -> None:
        """State how this paper trained some of its networks: see ``archzoo.recipes.Recipe``."""
        self._state("recipes", Recipe(name=name, **values))

    def no_recipe(self, *names: str, why: str) -> None:
        """State that no recipe is published for these networks."""
        self._check_open()
        self.without_recipe = ReadOnlyDict({**self.without_recipe, **dict.fromkeys(names, why)})


def _names(aliases: Sequence[str]) -> tuple[str, ...]:
    """The aliases as a tuple: text, which is a sequence of letters, is one alias."""
    return (aliases,) if isinstance(aliases, str) else tuple(aliases)


def _read_row(
    name: str,
    row: Sequence[Printed],
    where: str,
    columns: Sequence[str],
    protocol: str,
    about: Mapping[str, Any],
) -> Iterator[Result]:
    for data, error in zip(columns, row, strict=True):
        if data not in DATA:
            raise RegistrationError(f"{where}: no data is called {data!r}; there are {', '.join(DATA)}")
        if error is not None:
            mean, spread = error if isinstance(error, tuple) else (error, None)
            yield Result(name, data, mean, protocol, where, spread=spread, **about)
