"""Optimizers that torch.optim does not have. A row of ``OWN`` in ``archzoo.recipes._optimizers`` names each.

The loops are over single parameters: a step costs little beside the passes through a convolutional network.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from archzoo.errors import RecipeError


class OwnOptimizer(Optimizer):
    """An optimizer that updates every parameter by itself, in ``update``."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; return what ``closure`` returns, the loss."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    grad = parameter.grad.add(parameter, alpha=group["weight_decay"])
                    self.update(parameter, grad, group)
        return loss

    def update(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Update one parameter in place, by its gradient with the weight decay in it."""
        raise NotImplementedError

    def moment(self, parameter: Tensor, name: str) -> Tensor:
        """A running value of the parameter's shape, zero before the first step."""
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        moment: Tensor = state[name]
        return moment


class AlmostAdam(OwnOptimizer):
    """Adam without the correction of its bias, as courses build it of momentum and RMSProp (CS231n, "Adam (almost)").

    Both moments start at zero, the second for longer: the first step is 0.1 / sqrt(0.001), or 3.2, times as long as
    Adam's, with the default betas.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise RecipeError(f"betas must be two numbers of at least 0 and less than 1, not {betas!r}")
        if eps < 0:
            raise RecipeError(f"eps must be at least 0, not {eps!r}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def update(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Step by the first moment over the root of the second one."""
        first, second = self.moment(parameter, "first"), self.moment(parameter, "second")
        first.lerp_(grad, 1 - group["betas"][0])
        second.mul_(group["betas"][1]).addcmul_(grad, grad, value=1 - group["betas"][1])
        parameter.addcdiv_(first, second.sqrt().add_(group["eps"]), value=-group["lr"])


class CaffeSGD(OwnOptimizer):
    """SGD whose momentum holds steps rather than gradients: the update of AlexNet (Sec. 5), cuda-convnet and Caffe.

    torch.optim.SGD multiplies the momentum by the learning rate of the moment, so that a lower rate shortens past steps
    too. At a constant rate both are the same, with ``nesterov`` too.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov})

    def update(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Step by what is left of the steps before, and by the gradient at this rate."""
        momentum = group["momentum"]
        step = self.moment(parameter, "step")
        if group["nesterov"]:
            parameter.add_(step, alpha=momentum)
        step.mul_(momentum).add_(grad, alpha=group["lr"])
        parameter.sub_(step, alpha=1 + momentum if group["nesterov"] else 1)


class TensorFlowRMSProp(OwnOptimizer):
    """RMSProp as TensorFlow has it: step = momentum step + lr gradient / sqrt(mean of squares + eps).

    torch.optim.RMSprop adds ``eps`` to the root, starts the mean at zero where this one starts at one, and multiplies
    the momentum by the learning rate of the moment. The first matters where ``eps`` is 1, as for Inception-v3.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        alpha: float = 0.9,
        momentum: float = 0.0,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def update(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Step by what is left of the steps before, and by the gradient over its root mean square."""
        state = self.state[parameter]
        if "squares" not in state:
            state["squares"] = torch.ones_like(parameter, memory_format=torch.preserve_format)
        squares, step = state["squares"], self.moment(parameter, "step")
        squares.mul_(group["alpha"]).addcmul_(grad, grad, value=1 - group["alpha"])
        step.mul_(group["momentum"]).addcdiv_(grad, (squares + group["eps"]).sqrt_(), value=group["lr"])
        parameter.sub_(step)
