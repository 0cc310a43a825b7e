"""One paper and everything that it says: networks, printed numbers, results and recipes. Imports no torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archzoo.claims import Claim
from archzoo.errors import RegistrationError
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


@dataclass(frozen=True)
class NotCountable:
    """A printed number that no count can check, such as a clock time, and the reason."""

    printed: str
    where: str
    why: str


@dataclass(frozen=True)
class Result:
    """One published error in percent. ``options`` are those that differ from the network's defaults."""

    name: str
    data: str
    error: float
    protocol: str
    where: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    confirmed: bool = True


@dataclass(eq=False)
class Paper:
    """A paper: its title, authors, year and link, and what it says.

    ``models`` is the module with its constructors. A file in ``archzoo/papers`` makes one, or several where a later
    paper changes the same networks, and calls the methods below for all that is printed.
    """

    title: str
    authors: str
    year: int
    link: str
    models: str = ""
    networks: list[Network] = field(default_factory=list, init=False, repr=False)
    statements: list[tuple[str, Claim]] = field(default_factory=list, init=False, repr=False)
    uncountable: list[NotCountable] = field(default_factory=list, init=False, repr=False)
    published_results: list[Result] = field(default_factory=list, init=False, repr=False)
    recipes: list[Recipe] = field(default_factory=list, init=False, repr=False)
    without_recipe: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def network(self, name: str, *claims: Claim, input_size: tuple[int, int, int], aliases: Sequence[str] = ()) -> None:
        """Declare a network, built by the function of its name in ``models``, and what is printed about it."""
        self.networks.append(Network(name, f"{self.models}:{name}", input_size, claims, {}, tuple(aliases)))

    def setting(self, name: str, *claims: Claim, of: str, aliases: Sequence[str] = (), **options: Any) -> None:
        """Declare a published setting of one of this paper's networks, under a name of its own."""
        family = next((network for network in self.networks if network.name == of), None)
        if family is None:
            raise RegistrationError(f"setting {name!r} is of {of!r}, which {self.title!r} does not declare before it")
        self.networks.append(Network(name, family.constructor, family.input_size, claims, options, tuple(aliases)))

    def prints(self, name: str, *claims: Claim) -> None:
        """State what this paper prints about a network, its own or another paper's, by name."""
        self.statements.extend((name, claim) for claim in claims)

    def not_countable(self, printed: str, where: str, why: str) -> None:
        """Note a printed number that no count can check, with the reason."""
        self.uncountable.append(NotCountable(printed, where, why))

    def results(
        self,
        where: str,
        columns: Sequence[str],
        protocol: str,
        errors: Mapping[str, Sequence[float | None]],
        *,
        confirmed: bool = True,
        **options: Any,
    ) -> None:
        """State a printed table of errors in percent: a row for each network, in the order of the columns.

        ``options`` are those of the networks in this table that differ from their defaults.
        """
        for name, row in errors.items():
            self.published_results.extend(_read_row(name, row, where, columns, protocol, confirmed, options))

    def recipe(self, name: str, **values: Any) -> None:
        """State how this paper trained some of its networks: see ``archzoo.recipes.Recipe``."""
        self.recipes.append(Recipe(name=name, **values))

    def no_recipe(self, *names: str, why: str) -> None:
        """State that no recipe is published for these networks."""
        self.without_recipe |= dict.fromkeys(names, why)


def _read_row(
    name: str,
    row: Sequence[float | None],
    where: str,
    columns: Sequence[str],
    protocol: str,
    confirmed: bool,
    options: Mapping[str, Any],
) -> Iterator[Result]:
    for data, error in zip(columns, row, strict=True):
        if data not in DATA:
            raise RegistrationError(f"{where}: no data is called {data!r}; there are {', '.join(DATA)}")
        if error is not None:
            yield Result(name, data, error, protocol, where, options, confirmed)
