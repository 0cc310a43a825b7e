"""A forward on the CPU by oneDNN's fused operators, in place of a network's own where it computes the same."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.overrides import _get_current_function_mode
from torch.utils._python_dispatch import _get_current_dispatch_mode

from archzoo.inference._fusing import fused_steps
from archzoo.inference._steps import Program
from archzoo.inference._structure import is_hooked


class FusedForward:
    """The ``forward`` of one network: its fused steps for float images on the CPU, its own code for anything else.

    Hooks of modules, gradients, autocast, compilers and dispatch modes all get the network's own code, so that they see
    every module and every operator. So do images that the steps refuse: the network says why. The steps are found at
    the first call, and again in a copy.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.program: Program | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"net": self.net, "program": None}

    @property
    def __signature__(self) -> inspect.Signature:
        """That of the network's own forward, which torch.export reads."""
        return inspect.signature(type(self.net).forward.__get__(self.net))

    @property
    def __code__(self) -> Any:
        """The same for the names of its parameters."""
        return type(self.net).forward.__code__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        plain = type(self.net).forward
        if torch.compiler.is_compiling() or len(args) != 1 or kwargs or not self.applies_to(args[0]):
            return plain(self.net, *args, **kwargs)
        self.program = self.program or program_of(self.net)
        if not self.program.steps or not self.program.is_current(args[0].dtype):
            return plain(self.net, *args)
        try:
            with torch.no_grad():
                return self.program(args[0])
        except (RuntimeError, ValueError):
            out = plain(self.net, *args)  # raises with the network's own explanation where the images do not fit
            self.program = Program([])  # where they do, the steps are of no use
            return out

    def applies_to(self, images: Any) -> bool:
        """Whether fused operators compute what the network's modules do for these images."""
        return (
            type(images) is Tensor
            and images.device.type == "cpu"
            and images.dim() == 4
            and is_fast_on_cpu(images.dtype)
            and not (torch._C._get_tracing_state() or torch.is_autocast_enabled("cpu"))
            and not (torch.is_grad_enabled() and self.requires_grad(images))
            and not is_watched(self.net)
        )

    def requires_grad(self, images: Tensor) -> bool:
        """Whether a gradient may be asked for."""
        return images.requires_grad or any(parameter.requires_grad for parameter in self.net.parameters())


def program_of(net: nn.Module) -> Program:
    """The fused steps of a network; none where it cannot be traced, which the modules do not mind."""
    try:
        return Program(fused_steps(net))
    except Exception:  # whatever the code of a network raises for values that are not there
        return Program([])


def is_fast_on_cpu(dtype: torch.dtype) -> bool:
    """Whether oneDNN has its fused operators for a type on this processor."""
    if not torch._C._has_mkldnn or not torch.backends.mkldnn.enabled:
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and has_bfloat16_instructions())


def has_bfloat16_instructions() -> bool:
    """Whether the processor multiplies in bfloat16: elsewhere it is emulated, and slower than float32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    return any(check() for name in checks if (check := getattr(torch.cpu, name, None)))


def is_watched(net: nn.Module) -> bool:
    """Whether modules do more than in eval mode: training, hooks, or a mode of torch that sees every operator."""
    modes = _get_current_dispatch_mode(), _get_current_function_mode()  # type: ignore[no-untyped-call]
    everywhere = torch_module._global_forward_hooks, torch_module._global_forward_pre_hooks
    inside = (module.training or (module is not net and is_hooked(module)) for module in net.modules())
    return any(mode is not None for mode in modes) or any(everywhere) or any(inside)
