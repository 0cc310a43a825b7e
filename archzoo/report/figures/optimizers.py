"""Where optimizers go on two surfaces."""

from collections.abc import Callable

import torch
from matplotlib.figure import Figure
from torch import Tensor

from archzoo.report.figures.style import COLORS, INK, LINE, canvas

Surface = Callable[[Tensor], Tensor]
SURFACES: dict[str, tuple[Surface, tuple[float, float]]] = {
    "ravine": (lambda at: 0.05 * at[..., 0] ** 2 + at[..., 1] ** 2, (-9.0, 2.5)),
    "saddle": (lambda at: 0.5 * at[..., 0] ** 2 - 0.5 * at[..., 1] ** 2 + 0.02 * at[..., 1] ** 4, (-3.0, 0.001)),
}
OPTIMIZERS: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
    "SGD": lambda at: torch.optim.SGD(at, lr=0.1),
    "momentum": lambda at: torch.optim.SGD(at, lr=0.1, momentum=0.9),
    "Nesterov": lambda at: torch.optim.SGD(at, lr=0.1, momentum=0.9, nesterov=True),
    "AdaGrad": lambda at: torch.optim.Adagrad(at, lr=1.0),
    "RMSProp": lambda at: torch.optim.RMSprop(at, lr=0.1, alpha=0.9),
    "Adam": lambda at: torch.optim.Adam(at, lr=0.3),
}


def optimizer_paths(steps: int = 60) -> Figure:
    """Where six optimizers go in so many steps, on a ravine and on a saddle; each is torch.optim's own."""
    with canvas(11, 4.6, columns=2) as (figure, axes):
        for axis, (title, (surface, start)) in zip(axes, SURFACES.items(), strict=True):
            paths = {name: path(make, surface, start, steps) for name, make in OPTIMIZERS.items()}
            wide, high = (-10.5, 3.5) if title == "ravine" else (-4.0, 4.0), (-4.5, 4.5)
            x, y = torch.linspace(*wide, 120), torch.linspace(*high, 120)
            heights = surface(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1))
            axis.contour(x.numpy(), y.numpy(), heights.numpy(), levels=24, colors=LINE, linewidths=0.8)
            for place, (name, points) in enumerate(paths.items()):
                axis.plot(*points.T.numpy(), color=COLORS[place], linewidth=1.3, marker=".", markersize=3, label=name)
            axis.plot(*start, "o", color=INK)
            axis.set_xlim(*wide)
            axis.set_ylim(*high)
            axis.grid(False)
            axis.set_title(f"a {title}, {steps} steps")
        axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def path(
    make: Callable[[list[Tensor]], torch.optim.Optimizer], surface: Surface, start: tuple[float, float], steps: int
) -> Tensor:
    """The points (steps + 1, 2) that an optimizer visits from a start."""
    at = torch.tensor(start, requires_grad=True)
    optimizer = make([at])
    visited = [at.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        surface(at).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        visited.append(at.detach().clone())
    return torch.stack(visited)
