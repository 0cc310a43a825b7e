"""The forward and backward pass of a batch: as they are, or captured once in a CUDA graph and replayed."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Pass = Callable[[Tensor, Tensor], None]  # images, labels: adds to the gradients
WARM_UP = 3  # batches that run as they are before a graph is captured, as torch.cuda.graph asks for


class GraphedPass:
    """A pass that is captured in a CUDA graph after some batches. Its launches are replayed from then on.

    The gradients of a replayed pass replace those of the batch before: ``replaces_gradients`` says so. A batch of
    another size, from which a corrupt image was left out, runs as it is. Batches before the capture run in the stream
    of the capture, so that the workspaces that libraries keep for a stream are no part of the graph's memory.

    Args:
        forward_backward: The pass. It adds to gradients, and reads nothing back from the device.
        parameters: Whose gradients it adds to.
        log: Called with the reason where the pass cannot be captured. It then runs as it is.
    """

    def __init__(self, forward_backward: Pass, parameters: Sequence[Tensor], log: Callable[[str], None]) -> None:
        self.forward_backward, self.parameters, self.log = forward_backward, parameters, log
        self.batches = 0
        self.refused = False
        self.replaces_gradients = False
        self.gradients: list[Tensor | None] = []
        self.replay: Callable[[], None] | None = None
        self.images = self.labels = torch.empty(0)
        self.stream: torch.cuda.Stream | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        self.batches += 1
        if self.replay is None and not self.refused and self.batches > WARM_UP:
            self._capture(images, labels)
        self.replaces_gradients = self.replay is not None and images.shape == self.images.shape
        if self.replay is not None and self.replaces_gradients:
            self.images.copy_(images)
            self.labels.copy_(labels)
            for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
                parameter.grad = gradient
            self.replay()
        elif self.batches == 1:
            self._look_for_draws(images, labels)
        elif self.replay is None and not self.refused:
            self._run_aside(images, labels)
        else:
            for parameter in self.parameters:
                parameter.grad = None  # of a replayed batch, which nothing has cleared
            self.forward_backward(images, labels)

    def _look_for_draws(self, images: Tensor, labels: Tensor) -> None:
        """Run the first batch, which tells whether the network draws random numbers."""
        with RandomOperators() as random:
            self.forward_backward(images, labels)
        if random.called:
            self._refuse(f"the network draws random numbers ({', '.join(sorted(random.called))})")

    def _run_aside(self, images: Tensor, labels: Tensor) -> None:
        """Run a batch in the stream in which the next ones are captured."""
        if self.stream is None:
            self.stream = torch.cuda.Stream(images.device)  # type: ignore[no-untyped-call]
        aside(self.forward_backward, images, labels, self.stream)

    def _capture(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images.clone(), labels.clone()
        for parameter in self.parameters:
            parameter.grad = None  # a graph allocates its own
        try:
            self.replay = capture(self.forward_backward, self.images, self.labels, self.stream)
        except RuntimeError as error:
            self._refuse(str(error).partition("\n")[0])
        else:
            self.gradients = [parameter.grad for parameter in self.parameters]
            self.log(f"steps are replayed from a CUDA graph after {WARM_UP} of them")

    def _refuse(self, reason: str) -> None:
        self.refused = True
        self.log(f"steps are not captured in a CUDA graph: {reason}")


class RandomOperators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the operators that draw random numbers, of any device, in its context."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.called: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.called.add(func.name().removeprefix("aten::"))
        with torch._C.DisableTorchFunction():  # a mode for functions has seen the function that called this operator
            return func(*args, **(kwargs or {}))


def aside(forward_backward: Pass, images: Tensor, labels: Tensor, stream: torch.cuda.Stream) -> None:
    """Run a pass in another stream, between what is before and after it."""
    computing = torch.cuda.current_stream(images.device)
    stream.wait_stream(computing)
    with torch.cuda.stream(stream):
        forward_backward(images, labels)
    computing.wait_stream(stream)


def capture(
    forward_backward: Pass, images: Tensor, labels: Tensor, stream: torch.cuda.Stream | None
) -> Callable[[], None]:
    """Capture a pass over these tensors. The result runs it again, over what they hold then.

    Raises RuntimeError where a launch depends on a value that the device has to compute first.
    """
    graph = torch.cuda.CUDAGraph()
    # By default, the thread that locks the pages of the next batch ends the capture, and fails itself.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        forward_backward(images, labels)
    return graph.replay
