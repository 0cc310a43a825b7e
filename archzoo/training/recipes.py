"""How each paper trained its networks, as data. What no paper prints is chosen here, and named in ``chosen``."""

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from archzoo.errors import RecipeError, UnknownName
from archzoo.registry import find
from archzoo.training.schedules import (
    Constant,
    Every,
    Halves,
    Linear,
    Plateau,
    Run,
    Schedule,
    Shares,
    Stairs,
    Steps,
    Unit,
    WarmUp,
    read_schedule,
)


@dataclass(frozen=True)
class Recipe:
    """One training run as a paper describes it.

    ``networks`` are names or patterns of what it trains, on ``data``. ``optimizer`` is a name of torch.optim, in lower
    case; ``length`` is in ``unit``, ``batch`` the images of all processes. ``augmentation``, ``preprocessing`` and
    ``regularizers`` are phrases of the modules of these names. ``decay_scope`` is all parameters or weights alone;
    ``clip`` limits the norm of the gradients and ``filter_limit`` the root mean square of filters, ``ema`` is the decay
    of averaged weights, all off at 0. ``tested`` is the last epoch, or that of the best validation; ``protocol`` says
    how, ``reaches`` what the paper printed. ``chosen`` names what no paper prints, ``unconfirmed`` quotes from memory.
    """

    name: str
    networks: tuple[str, ...]
    data: str
    where: str
    lr: float
    batch: int
    length: int
    schedule: Schedule
    unit: Unit = "epochs"
    optimizer: str = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    decay_scope: str = "all"
    label_smoothing: float = 0.0
    clip: float = 0.0
    filter_limit: float = 0.0
    ema: float = 0.0
    regularizers: tuple[str, ...] = ()
    augmentation: tuple[str, ...] = ()
    preprocessing: str = "mean and deviation by channel"
    validation: str = ""
    tested: str = "last"
    protocol: str = "single view"
    reaches: str = ""
    chosen: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()

    def run(self, images: int) -> Run:
        """How long this is for a training set of so many images; the last batch of an epoch is dropped if not full."""
        per_epoch = max(images // self.batch, 1)
        return Run(self.length if self.unit == "iterations" else self.length * per_epoch, per_epoch)

    def rates(self, images: int, points: int = 100) -> list[float]:
        """The learning rate at evenly spread iterations of a run, the first and the last among them."""
        run = self.run(images)
        places = [round(at * (run.iterations - 1) / max(points - 1, 1)) for at in range(points)]
        return [self.lr * self.schedule.factor(place, run) for place in places]

    def with_(self, **changes: Any) -> "Recipe":
        """The same recipe with other values. Raises RecipeError for a name that it does not have, with the nearest."""
        known = [one.name for one in fields(self)]
        for name, value in changes.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f": did you mean {near[0]!r}?" if near else f" (values: {', '.join(known)})"
                raise RecipeError(f"a recipe has no {name!r}{hint}")
            kind = type(getattr(self, name))
            if kind in (int, float, str, bool) and not isinstance(value, (int, float) if kind is float else kind):
                raise RecipeError(f"{name} of {self.name} must be a {kind.__name__}, not {value!r}")
        changed = replace(self, **changes)
        if changed.lr <= 0 or changed.batch < 1 or changed.length < 1:
            raise RecipeError(f"lr, batch and length of {self.name} must be positive")
        if changed.tested not in ("last", "best") or changed.unit not in ("epochs", "iterations"):
            raise RecipeError(
                f"tested is last or best and unit epochs or iterations, not {changed.tested}, {changed.unit}"
            )
        if min(changed.clip, changed.filter_limit, changed.weight_decay) < 0 or not 0 <= changed.ema < 1:
            raise RecipeError("clip, filter_limit and weight_decay must not be negative, and ema from 0 to below 1")
        return changed

    def as_dict(self) -> dict[str, Any]:
        """Everything, in plain types, with the kind of its schedule."""
        return {**asdict(self), "schedule": {"kind": type(self.schedule).__name__, **asdict(self.schedule)}}  # type: ignore[call-overload]


MIRROR_SHIFT = ("pad 4 and crop", "mirror")
FB_CROPS = ("crop of 8% to 100% of the area, sides 3/4 to 4/3", "color jitter 0.4", "PCA color 0.1", "mirror")
FB = "fb.resnet.torch"

RECIPES = (
    Recipe(
        name="lenet5_mnist",
        networks=("lenet5", "lenet5_textbook"),
        data="mnist",
        where="Sec. III-B",
        lr=0.0005,
        batch=1,
        length=20,
        schedule=Stairs((2, 5, 8, 12), (0.4, 0.2, 0.1, 0.02)),
        momentum=0.0,
        preprocessing="background -0.1, ink 1.175",
        reaches="0.95% on MNIST's test set (LeNet-5)",
        chosen=(
            "optimizer: the paper's is stochastic diagonal Levenberg-Marquardt, a rate for each weight: not in torch",
        ),
        unconfirmed=("schedule",),
    ),
    Recipe(
        name="alexnet_imagenet",
        networks=("alexnet",),
        data="imagenet",
        where="Sec. 4 and 5",
        lr=0.01,
        batch=128,
        length=90,
        schedule=Plateau(drops=3),
        weight_decay=5e-4,
        augmentation=("shorter side 256", "middle 256x256", "random crop", "mirror", "PCA color 0.1"),
        preprocessing="mean by pixel",
        protocol="ten crops, softmax averaged",
        reaches="40.7% top-1, 18.2% top-5 on the validation set (5 networks: 38.1%, 16.4%)",
        chosen=("patience of the plateau: 5 epochs",),
    ),
    Recipe(
        name="one_tower_imagenet",
        networks=("alexnet_one_tower",),
        data="imagenet",
        where="One weird trick, Sec. 5",
        lr=0.01,
        batch=128,
        length=90,
        schedule=Shares((0.25, 0.5, 0.75), by=250 ** (-1 / 3)),
        weight_decay=5e-4,
        augmentation=("shorter side 256", "middle 256x256", "random crop", "mirror"),
        preprocessing="mean by pixel",
    ),
    Recipe(
        name="nin_cifar10",
        networks=("nin",),
        data="cifar10",
        where="Sec. 4.1, and the authors' parameters",
        lr=0.1,
        batch=128,
        length=230,
        schedule=Plateau(drops=2),
        weight_decay=1e-5,
        preprocessing="global contrast normalization and ZCA",
        validation="10,000 of the 50,000, to choose the receptive field and the weight decay",
        reaches="10.41% (8.81% with augmentation) on CIFAR-10",
        chosen=("length: not printed", "patience of the plateau: 5 epochs"),
    ),
    Recipe(
        name="zfnet_imagenet",
        networks=("zfnet",),
        data="imagenet",
        where="Sec. 3.1",
        lr=0.01,
        batch=128,
        length=70,
        schedule=Plateau(drops=3),
        filter_limit=0.1,
        augmentation=("shorter side 256", "middle 256x256", "one of ten crops"),
        preprocessing="mean by pixel",
        reaches="38.4% top-1, 16.5% top-5",
        chosen=("weight_decay: not printed", "schedule: annealed by hand when the validation error stalls"),
    ),
    Recipe(
        name="vgg_imagenet",
        networks=("vgg*",),
        data="imagenet",
        where="Sec. 3.1",
        lr=0.01,
        batch=256,
        length=74,
        schedule=Plateau(drops=3),
        weight_decay=5e-4,
        augmentation=("shorter side drawn from 256 to 512", "random crop", "mirror", "PCA color 0.1"),
        preprocessing="mean by channel",
        protocol="dense, over several scales and their mirror images",
        reaches="24.8% top-1, 7.5% top-5 (vgg_d, scale jittering, dense over several scales)",
        chosen=("patience of the plateau: 5 epochs",),
    ),
    Recipe(
        name="googlenet_imagenet",
        networks=("googlenet",),
        data="imagenet",
        where="Sec. 6",
        lr=0.01,
        batch=256,
        length=250,
        schedule=Every(8, by=0.96),
        augmentation=("crop of 8% to 100% of the area, sides 3/4 to 4/3", "color jitter 0.5", "mirror"),
        protocol="144 crops",
        reaches="6.67% top-5 (7 networks)",
        chosen=("lr", "batch", "length", "weight_decay: none of the four is printed"),
    ),
    Recipe(
        name="resnet_cifar10",
        networks=(
            *("resnet_cifar", "resnet20", "resnet32", "resnet44", "resnet56", "resnet1202"),
            *("plain_cifar", "plain20", "plain32", "plain44", "plain56", "plain110"),
        ),
        data="cifar10",
        where="Sec. 4.2",
        lr=0.1,
        batch=128,
        length=64_000,
        unit="iterations",
        schedule=Steps((32_000, 48_000), unit="iterations"),
        weight_decay=1e-4,
        augmentation=MIRROR_SHIFT,
        preprocessing="mean by pixel",
        validation="5,000 of the 50,000, to choose the schedule",
        reaches="8.75% (resnet20), 6.97% (resnet56) on CIFAR-10",
    ),
    Recipe(
        name="resnet110_cifar10",
        networks=("resnet110",),
        data="cifar10",
        where="Sec. 4.2",
        lr=0.1,
        batch=128,
        length=64_000,
        unit="iterations",
        schedule=WarmUp(0.1, 400, Steps((32_000, 48_000), unit="iterations")),
        weight_decay=1e-4,
        augmentation=MIRROR_SHIFT,
        preprocessing="mean by pixel",
        reaches="6.43% (6.61 +- 0.16%) on CIFAR-10",
        chosen=("warm-up of 400 iterations: printed as until the training error is below 80%, about 400",),
    ),
    Recipe(
        name="resnet_imagenet",
        networks=(
            "resnet",
            "resnet18",
            "resnet34",
            "resnet50*",
            "resnet101*",
            "resnet152*",
            "resnet_v1_5",
            "plain",
            "plain18",
            "plain34",
        ),
        data="imagenet",
        where="Sec. 3.4",
        lr=0.1,
        batch=256,
        length=600_000,
        unit="iterations",
        schedule=Plateau(drops=2),
        weight_decay=1e-4,
        augmentation=("shorter side drawn from 256 to 480", "random crop", "mirror", "PCA color 0.1"),
        preprocessing="mean by pixel",
        protocol="ten crops",
        reaches="22.85% top-1, 6.71% top-5 (resnet50, ten crops)",
        chosen=("patience of the plateau: 5 epochs", "number of drops"),
    ),
    Recipe(
        name="preact_resnet_cifar",
        networks=("preact_resnet", "preact_resnet110", "preact_resnet164", "preact_resnet1001"),
        data="cifar10",
        where="Appendix",
        lr=0.1,
        batch=128,
        length=64_000,
        unit="iterations",
        schedule=WarmUp(0.1, 400, Steps((32_000, 48_000), unit="iterations")),
        weight_decay=1e-4,
        augmentation=MIRROR_SHIFT,
        protocol="single view, the median of 5 runs",
        reaches="5.46% (164), 4.92% (1001, batch 128) on CIFAR-10",
    ),
    Recipe(
        name="preact_resnet200_imagenet",
        networks=("preact_resnet200",),
        data="imagenet",
        where="Sec. 5",
        lr=0.1,
        batch=256,
        length=90,
        schedule=Steps((30, 60)),
        weight_decay=1e-4,
        augmentation=("shorter side drawn from 256 to 480", "random crop", "mirror"),
        protocol="one 320x320 crop of a shorter side of 320",
        reaches="20.7% top-1 (20.1% with jittered sides) on ImageNet",
        chosen=("length: the paper stops the rate at epochs 30 and 60, the released code at 90",),
    ),
    Recipe(
        name="stochastic_depth_cifar",
        networks=("stochastic_depth", "stochastic_depth_110"),
        data="cifar10",
        where="Sec. 4",
        lr=0.1,
        batch=128,
        length=500,
        schedule=Steps((250, 375)),
        nesterov=True,
        weight_decay=1e-4,
        augmentation=MIRROR_SHIFT,
        validation="5,000 of the 50,000; the epoch of the lowest validation error is tested",
        tested="best",
        reaches="5.25% (110) on CIFAR-10",
    ),
    Recipe(
        name="stochastic_depth_1202_cifar10",
        networks=("stochastic_depth_1202",),
        data="cifar10",
        where="Sec. 4",
        lr=0.1,
        batch=128,
        length=300,
        schedule=WarmUp(0.1, 10, Steps((150, 225)), unit="epochs"),
        nesterov=True,
        weight_decay=1e-4,
        augmentation=MIRROR_SHIFT,
        reaches="4.91% on CIFAR-10",
    ),
    Recipe(
        name="stochastic_depth_svhn",
        networks=("stochastic_depth",),
        data="svhn",
        where="Sec. 4",
        lr=0.1,
        batch=128,
        length=50,
        schedule=Steps((30, 35)),
        nesterov=True,
        weight_decay=1e-4,
        validation="6,000: 400 of each class from train, 200 from extra; tested every 200 iterations",
        reaches="1.75% (152 layers) on SVHN",
    ),
    Recipe(
        name="stochastic_depth_imagenet",
        networks=("stochastic_depth_152",),
        data="imagenet",
        where="Sec. 4",
        lr=0.1,
        batch=128,
        length=120,
        schedule=Steps((30, 60, 90)),
        nesterov=True,
        weight_decay=1e-4,
        augmentation=FB_CROPS,
        reaches="21.98% top-1 (23.38% after 90 epochs)",
        chosen=(f"all but batch and length: the paper's framework is {FB}, whose defaults these are",),
    ),
    Recipe(
        name="wide_resnet_cifar",
        networks=("wide_resnet", "wide_resnet_*"),
        data="cifar10",
        where="Sec. 3",
        lr=0.1,
        batch=128,
        length=200,
        schedule=Steps((60, 120, 160), by=0.2),
        nesterov=True,
        weight_decay=5e-4,
        augmentation=("pad 4 by reflection and crop", "mirror"),
        protocol="single view, the median of 5 runs",
        reaches="4.00% (28-10), 3.89% with dropout on CIFAR-10",
    ),
    Recipe(
        name="wide_resnet_imagenet",
        networks=("wide_resnet18", "wide_resnet34", "wide_resnet50_2"),
        data="imagenet",
        where="Sec. 3.4",
        lr=0.1,
        batch=256,
        length=90,
        schedule=Every(30, by=0.1),
        weight_decay=1e-4,
        augmentation=FB_CROPS,
        protocol="single view",
        reaches="21.9% top-1, 6.03% top-5 (wide_resnet50_2)",
        chosen=(f"all values: the paper's framework is {FB}, whose defaults these are",),
    ),
    Recipe(
        name="squeezenet_imagenet",
        networks=("squeezenet*",),
        data="imagenet",
        where="the released solver",
        lr=0.04,
        batch=512,
        length=170_000,
        unit="iterations",
        schedule=Linear(),
        weight_decay=2e-4,
        augmentation=("shorter side 256", "middle 256x256", "random crop", "mirror"),
        preprocessing="mean by channel (104, 117, 123)",
        reaches="57.5% top-1, 80.3% top-5 accuracy",
    ),
    Recipe(
        name="densenet_cifar",
        networks=("densenet", "densenet_b", "densenet_c", "densenet_bc", "densenet_100_*", "densenet_bc_*"),
        data="cifar10",
        where="Sec. 4.2",
        lr=0.1,
        batch=64,
        length=300,
        schedule=Shares((0.5, 0.75)),
        nesterov=True,
        weight_decay=1e-4,
        augmentation=MIRROR_SHIFT,
        validation="5,000 of the 50,000; the last run is on all, and its last epoch is tested",
        reaches="4.51% (densenet_bc, k=12), 3.46% (190, 40) on CIFAR-10 with augmentation",
    ),
    Recipe(
        name="densenet_imagenet",
        networks=("densenet121", "densenet161", "densenet169", "densenet201", "densenet264", "densenet_imagenet"),
        data="imagenet",
        where="Sec. 4.2",
        lr=0.1,
        batch=256,
        length=90,
        schedule=Steps((30, 60)),
        nesterov=True,
        weight_decay=1e-4,
        augmentation=FB_CROPS,
        protocol="single view",
        reaches="25.02% top-1, 7.71% top-5 (densenet121, one crop)",
    ),
    Recipe(
        name="fractalnet_cifar",
        networks=("fractalnet", "fractalnet20", "fractalnet_*"),
        data="cifar10",
        where="Sec. 4.1",
        lr=0.02,
        batch=100,
        length=400,
        schedule=Halves(),
        augmentation=MIRROR_SHIFT,
        reaches="4.60% (fractalnet20, drop-path, with augmentation) on CIFAR-10",
        chosen=("weight_decay: not printed, none here",),
    ),
    Recipe(
        name="fractalnet_imagenet",
        networks=("fractalnet34",),
        data="imagenet",
        where="Sec. 4.2",
        lr=0.001,
        batch=32,
        length=70,
        schedule=Steps((50, 65)),
        augmentation=("shorter side 256", "random crop", "mirror"),
        protocol="ten crops",
        reaches="24.12% top-1, 7.39% top-5 (ten crops)",
        chosen=("weight_decay: not printed, none here",),
        unconfirmed=("schedule",),
    ),
    Recipe(
        name="shufflenet_v2_imagenet",
        networks=("shufflenet_v2*",),
        data="imagenet",
        where="the released code",
        lr=0.5,
        batch=1024,
        length=300_000,
        unit="iterations",
        schedule=Linear(),
        weight_decay=4e-5,
        label_smoothing=0.1,
        augmentation=("crop of 8% to 100% of the area, sides 3/4 to 4/3", "color jitter 0.4", "mirror"),
        protocol="one 224x224 crop of a shorter side of 256",
        reaches="30.6% top-1 (x1_0), 39.7% (x0_5)",
    ),
    Recipe(
        name="fine_tuning",
        networks=("*",),
        data="a folder",
        where="the well-known exercise on ants and bees",
        lr=0.001,
        batch=4,
        length=25,
        schedule=Every(7, by=0.1),
        augmentation=("crop of 8% to 100% of the area, sides 3/4 to 4/3", "mirror"),
    ),
    Recipe(
        name="digits",
        networks=("*",),
        data="digits",
        where="of this project, for a first try",
        lr=0.05,
        batch=32,
        length=60,
        schedule=Shares((0.5, 0.75)),
        nesterov=True,
        weight_decay=1e-4,
        augmentation=("pad 2 and crop",),
    ),
    Recipe(
        name="constant",
        networks=("*",),
        data="any",
        where="of this project, to override",
        lr=0.01,
        batch=32,
        length=10,
        schedule=Constant(),
    ),
)
IMAGES = {
    "cifar10": 50_000,
    "cifar100": 50_000,
    "svhn": 604_388,
    "mnist": 60_000,
    "imagenet": 1_281_167,
    "digits": 1_437,
}


def find_recipe(name: str, data: str = "") -> Recipe:
    """The recipe of this name, or that which a paper gives for a network (on some data, where it has several).

    Raises RecipeError, with the names that there are.
    """
    for recipe in RECIPES:
        if recipe.name == name:
            return recipe
    try:
        network = find(name).name
    except UnknownName as error:
        raise RecipeError(f"no recipe is called {name!r}, and {error}") from error
    known = list(_of_network(network))
    for recipe in known:
        if data in ("", recipe.data):
            return recipe
    raise RecipeError(f"no recipe for {network!r} on {data!r}; there are {', '.join(one.name for one in known)}")


def _of_network(name: str) -> Iterator[Recipe]:
    """The recipes for a network, those that name it before those that only have a pattern for it."""
    named = [recipe for recipe in RECIPES if name in recipe.networks]
    yield from named
    yield from (
        recipe
        for recipe in RECIPES
        if recipe not in named and any(fnmatchcase(name, pattern) for pattern in recipe.networks)
    )


def spelled(recipe: Recipe) -> dict[str, str]:
    """Every value of a recipe as a text for people; "-" for nothing."""
    return {key: _spell(value) for key, value in recipe.as_dict().items()}


def _spell(value: Any) -> str:
    if isinstance(value, dict):
        rest = ", ".join(f"{name}={_spell(one)}" for name, one in value.items() if name != "kind")
        return f"{value.get('kind', '')}({rest})"
    if isinstance(value, list | tuple):
        return ", ".join(map(_spell, value)) or "-"
    return "-" if value == "" else str(value)


def draw(recipe: Recipe, images: int, width: int = 60, height: int = 8) -> str:
    """The learning rate over the run, in characters, on a scale of powers of ten; zero is at the bottom."""
    rates = recipe.rates(images, width)
    top = math.log10(max(rates))
    bottom = min([math.log10(rate) for rate in rates if rate > 0] + [top - 1])
    bottom = max(bottom, top - 5)
    logs = [max(math.log10(rate), bottom) if rate > 0 else bottom for rate in rates]
    levels = [round((log - bottom) / (top - bottom) * (height - 1)) for log in logs]
    rows = ["".join("*" if level == row else " " for level in levels) for row in reversed(range(height))]
    labels = [f"{10**top:.2g}", *[""] * (height - 2), f"{10**bottom:.2g}"]
    body = [f"{label:>8} |{row}".rstrip() for label, row in zip(labels, rows, strict=True)]
    return "\n".join([*body, f"{'':>8} +{'-' * width}", f"{'':>10}0 to {recipe.length:,} {recipe.unit}"])


def options_of(recipe: Recipe) -> Mapping[str, Any]:
    """What torch.optim's optimizer of that name takes."""
    options: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        options |= {"momentum": recipe.momentum, "nesterov": recipe.nesterov}
    elif recipe.optimizer == "rmsprop":
        options |= {"momentum": recipe.momentum}
    return options


def read_changes(recipe: Recipe, texts: Mapping[str, str]) -> dict[str, Any]:
    """Changed values as texts, read as the types of what they change. Raises RecipeError where one is no such value."""
    changes: dict[str, Any] = {}
    for name, text in texts.items():
        before = getattr(recipe, name, text)
        try:
            changes[name] = _read(before, text)
        except ValueError as error:
            raise RecipeError(f"{name} must be a {type(before).__name__}, such as {before!r}, not {text!r}") from error
    return changes


def _read(before: Any, text: str) -> Any:
    if isinstance(before, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    if isinstance(before, int | float):
        return type(before)(text)
    if isinstance(before, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text if isinstance(before, str) else read_schedule(text)
