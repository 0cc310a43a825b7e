"""The paths of optimizers on two surfaces."""

from collections.abc import Callable, Sequence

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
    # One iteration a step, with 25 evaluations for its line search: torch allows none to a single iteration.
    "L-BFGS": lambda params: torch.optim.LBFGS(params, max_iter=1, max_eval=26, line_search_fn="strong_wolfe"),
}
MARKED = ("L-BFGS", "Newton")  # whose steps are few and long


def optimizer_paths(steps: int = 60) -> Figure:
    """The paths of the optimizers of torch.optim, and of Newton's method, on a ravine and on a saddle."""
    with canvas(11, 4.6, columns=2) as (figure, axes):
        for axis, (title, (surface, start)) in zip(axes, SURFACES.items(), strict=True):
            paths = {name: path(make, surface, start, steps) for name, make in OPTIMIZERS.items()}
            paths["Newton"] = newton_path(surface, start, steps)
            x_range, y_range = (-10.5, 3.5) if title == "ravine" else (-4.0, 4.0), (-4.5, 4.5)
            x, y = torch.linspace(*x_range, 120), torch.linspace(*y_range, 120)
            heights = surface(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1))
            axis.contour(x.numpy(), y.numpy(), heights.numpy(), levels=24, colors=LINE, linewidths=0.8)
            for number, (name, points) in enumerate(paths.items()):
                marker = {"marker": "s", "markersize": 5} if name in MARKED else {"marker": ".", "markersize": 3}
                color = COLORS[number % len(COLORS)]
                axis.plot(*points.T.numpy(), color=color, linewidth=1.3, label=name, **marker)
            axis.plot(*start, "o", color=INK, markersize=8, linestyle="", label="start")
            axis.set_xlim(*x_range)
            axis.set_ylim(*y_range)
            axis.grid(False)
            axis.set_title(f"a {title}, {steps} steps; thin lines: equal height")
        axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def path(
    make: Callable[[list[Tensor]], torch.optim.Optimizer], surface: Surface, start: Sequence[float], steps: int
) -> Tensor:
    """The points (steps + 1, n) that an optimizer visits from ``start``."""
    point = torch.tensor(start, requires_grad=True)
    optimizer = make([point])

    def height() -> float:
        optimizer.zero_grad()
        value = surface(point)
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    visited = [point.detach().clone()]
    for _ in range(steps):
        optimizer.step(height)
        visited.append(point.detach().clone())
    return torch.stack(visited)


def newton_path(surface: Surface, start: Sequence[float], steps: int) -> Tensor:
    """The points (steps + 1, n) that Newton's method visits from ``start``.

    A step subtracts the inverse of the Hessian times the gradient. It goes to where the gradient of the surface's
    quadratic approximation is zero, be it a minimum or a saddle point. Raises torch.linalg.LinAlgError where a Hessian
    is singular.
    """
    gradient = torch.func.grad(surface)
    hessian = torch.func.jacrev(gradient)  # forward mode, which torch.func.hessian takes, needs torch.jit
    visited = [torch.tensor(start)]
    for _ in range(steps):
        point = visited[-1]
        visited.append(point - torch.linalg.solve(hessian(point), gradient(point)))
    return torch.stack(visited)
