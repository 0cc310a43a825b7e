"""The paths of optimizers on two surfaces."""

from collections.abc import Callable

import torch
from matplotlib.figure import Figure
from torch import Tensor

from archzoo.report.figures._style import COLORS, INK, LINE, canvas

Surface = Callable[[Tensor], Tensor]
SURFACES: dict[str, tuple[Surface, tuple[float, float]]] = {
    "ravine": (lambda xy: 0.05 * xy[..., 0] ** 2 + xy[..., 1] ** 2, (-9.0, 2.5)),
    "saddle": (lambda xy: 0.5 * xy[..., 0] ** 2 - 0.5 * xy[..., 1] ** 2 + 0.02 * xy[..., 1] ** 4, (-3.0, 0.001)),
}
OPTIMIZERS: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
    "SGD": lambda params: torch.optim.SGD(params, lr=0.1),
    "momentum": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "Nesterov": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "AdaGrad": lambda params: torch.optim.Adagrad(params, lr=1.0),
    "RMSProp": lambda params: torch.optim.RMSprop(params, lr=0.1, alpha=0.9),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.3),
}


def optimizer_paths(steps: int = 60) -> Figure:
    """The paths of six optimizers of torch.optim on a ravine and on a saddle."""
    with canvas(11, 4.6, columns=2) as (figure, axes):
        for axis, (title, (surface, start)) in zip(axes, SURFACES.items(), strict=True):
            paths = {name: path(make, surface, start, steps) for name, make in OPTIMIZERS.items()}
            x_range, y_range = (-10.5, 3.5) if title == "ravine" else (-4.0, 4.0), (-4.5, 4.5)
            x, y = torch.linspace(*x_range, 120), torch.linspace(*y_range, 120)
            heights = surface(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1))
            axis.contour(x.numpy(), y.numpy(), heights.numpy(), levels=24, colors=LINE, linewidths=0.8)
            for color, (name, points) in zip(COLORS, paths.items(), strict=False):
                axis.plot(*points.T.numpy(), color=color, linewidth=1.3, marker=".", markersize=3, label=name)
            axis.plot(*start, "o", color=INK)
            axis.set_xlim(*x_range)
            axis.set_ylim(*y_range)
            axis.grid(False)
            axis.set_title(f"a {title}, {steps} steps")
        axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def path(
    make: Callable[[list[Tensor]], torch.optim.Optimizer], surface: Surface, start: tuple[float, float], steps: int
) -> Tensor:
    """The points (steps + 1, 2) that an optimizer visits from ``start``."""
    point = torch.tensor(start, requires_grad=True)
    optimizer = make([point])
    visited = [point.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        surface(point).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        visited.append(point.detach().clone())
    return torch.stack(visited)
