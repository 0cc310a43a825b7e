"""A second way to count, for a forward pass that compares devices: on fake tensors.

A fake tensor has no values, like a meta tensor, but says that it is on a real device. So the model, its inputs and what
its forward pass creates are on one device. It is slower, and tensors that the forward pass creates have no values, so
it is tried where meta tensors fail.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_map_only

from archzoo.profiler._higher_order import flex_attention_uncompiled
from archzoo.profiler._meta import is_lazy, modules_of, tensors_of
from archzoo.profiler._scripted import is_scripted
from archzoo.profiler._shapes import META
from archzoo.profiler._wrappers import copied_without_wrappers
from archzoo.restoring import generators_restored


class FakePass:
    """A copy of a model and its inputs on fake tensors, on the device of the model, or on a CPU for a meta model.

    Raises whatever copying the model raises; RuntimeError for lazy parameters, which have no shape, and for sparse and
    nested tensors.
    """

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        modules = [module for module in modules_of(model) if not is_scripted(module)]
        tensors = tensors_of(modules)
        if any(map(is_lazy, tensors)):
            raise RuntimeError("lazy parameters have no shape")
        self.device = next((tensor.device for tensor in tensors if not tensor.is_meta), torch.device("cpu"))
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.model = copied_without_wrappers(model, {id(tensor): self._fake(tensor) for tensor in tensors})
        self.inputs = tree_map_only(Tensor, self._fake, inputs)
        for module in modules_of(self.model):
            module.training = False

    def _fake(self, tensor: Tensor) -> Tensor:
        if tensor.layout is not torch.strided or tensor.is_nested:
            raise RuntimeError(f"no fake tensor has the layout {tensor.layout}")
        meta = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)
        fake = cast(Tensor, FakeTensor(self.mode, meta, self.device))
        return nn.Parameter(fake, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else fake

    @contextmanager
    def active(self) -> Iterator[None]:
        """Run operators on fake tensors inside the block."""
        with torch.no_grad(), generators_restored(), _unfused(), flex_attention_uncompiled(), self.mode:
            yield


@contextmanager
def fake_tensors_quiet() -> Iterator[None]:
    """Keep torch from logging the traceback of an operator that does not take its inputs, in this thread."""
    logger, thread = logging.getLogger("torch._subclasses.fake_tensor"), threading.get_ident()

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(is_of_others)
    try:
        yield
    finally:
        logger.removeFilter(is_of_others)


@contextmanager
def _unfused() -> Iterator[None]:
    """Let the layers of a transformer call their parts, which are counted."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
