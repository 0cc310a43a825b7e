"""The device that tests of other files compute on behaves as CUDA does."""

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.fake_cuda import CPU, CUDA, WAITS, fake_cuda


@pytest.fixture(autouse=True)
def cuda() -> Iterator[torch.device]:
    replaced = torch.Generator, torch.autocast, torch.cuda.is_available, torch.export.export
    with fake_cuda() as device:
        yield device
    assert replaced == (torch.Generator, torch.autocast, torch.cuda.is_available, torch.export.export)


def there(*shape: int) -> Tensor:
    return torch.ones(shape, device="cuda")


def here(*shape: int) -> Tensor:
    return torch.ones(shape)


def index(*values: int, device: str = "cpu") -> Tensor:
    return torch.tensor(values, device=device)


# What a machine with CUDA refuses with "Expected all tensors to be on the same device" or a like message.
REFUSED: dict[str, Callable[[], Any]] = {
    "add": lambda: there(2) + here(2),
    "add of a scalar on CUDA": lambda: here(2) + there(),
    "add in place to a scalar on the CPU": lambda: here().add_(there()),
    "subtract a statistic": lambda: there(2, 3, 4, 4).sub(here(3, 1, 1)),
    "linear": lambda: nn.functional.linear(there(2, 3), here(4, 3)),
    "linear with a CPU bias": lambda: nn.functional.linear(there(2, 3), there(4, 3), here(4)),
    "convolution": lambda: nn.functional.conv2d(there(1, 3, 4, 4), here(2, 3, 3, 3)),
    "batch norm": lambda: nn.functional.batch_norm(there(2, 3), here(3), here(3)),
    "cross-entropy": lambda: nn.functional.cross_entropy(there(2, 3), index(0, 1)),
    "cat": lambda: torch.cat([there(2), here(2)]),
    "stack of scalars": lambda: torch.stack([there(), here()]),
    "where": lambda: torch.where(here(2) > 0, there(2), there(2)),
    "gather": lambda: there(2, 2).gather(1, index(0, 1).view(2, 1)),
    "index_select": lambda: there(2).index_select(0, index(0)),
    "CUDA indices of a CPU tensor": lambda: here(2)[index(0, device="cuda")],
    "CPU values in place of CUDA's": lambda: there(2).index_put_((index(0),), here(1)),
    "NumPy": lambda: there(2).numpy(),
    "a CPU generator": lambda: torch.rand(2, device="cuda", generator=torch.Generator()),
    "a CPU generator in place": lambda: there(2).uniform_(generator=torch.Generator()),
    "a CUDA generator on the CPU": lambda: torch.randperm(2, generator=torch.Generator("cuda")),
    "a mean that torch's Python code makes": lambda: nn.functional.mse_loss(there(2), here(2)),
    "in place": lambda: here(2).add_(there(2)),
    "matrix product": lambda: there(2, 2) @ here(2, 2),
    "foreach": lambda: torch._foreach_add([there(2)], [here(2)]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cuda_refuses_is_refused(case: str) -> None:
    with pytest.raises((RuntimeError, TypeError), match=r"device|numpy"):
        REFUSED[case]()


def with_default_device() -> Tensor:
    with torch.device("cuda"):
        return torch.zeros(2)


# What CUDA takes, and where the result is.
TAKEN: dict[str, tuple[Callable[[], Tensor], torch.device]] = {
    "add": (lambda: there(2) + there(2), CUDA),
    "add a number": (lambda: there(2) + 1, CUDA),
    "add a scalar on the CPU": (lambda: there(2) + here(), CUDA),
    "a scalar on the CPU first": (lambda: here() + there(2), CUDA),
    "a scalar on the CPU and one on CUDA": (lambda: here() + there(), CUDA),
    "where with a scalar on the CPU": (lambda: torch.where(there(2) > 0, there(2), torch.tensor(-torch.inf)), CUDA),
    "CPU indices": (lambda: there(2, 2)[index(1, 0)], CUDA),
    "CPU and CUDA indices": (lambda: there(2, 2)[index(1, 0), index(0, 1, device="cuda")], CUDA),
    "a boolean CPU index": (lambda: there(2)[torch.tensor([True, False])], CUDA),
    "a scalar on the CPU as a value": (lambda: there(2).index_put_((index(0),), here()), CUDA),
    "copy to CUDA": (lambda: there(2).copy_(here(2)), CUDA),
    "copy to the CPU": (lambda: here(2).copy_(there(2)), CPU),
    "assign to a slice": (lambda: here(2, 2).select(0, 1).copy_(there(2)), CPU),
    "cpu()": (lambda: there(2).cpu(), CPU),
    "to(dtype)": (lambda: there(2).double(), CUDA),
    "to(tensor)": (lambda: here(2).to(there(1).double()), CUDA),
    "view": (lambda: there(2, 2).permute(1, 0)[0].view(2, 1), CUDA),
    "zeros_like": (lambda: torch.zeros_like(there(2)), CUDA),
    "zeros_like elsewhere": (lambda: torch.zeros_like(there(2), device="cpu"), CPU),
    "new_zeros": (lambda: there(2).new_zeros(3), CUDA),
    "new_tensor": (lambda: there(2).new_tensor([1.0]), CUDA),
    "from NumPy": (lambda: torch.from_numpy(here(2).numpy()), CPU),
    "as_tensor": (lambda: torch.as_tensor(here(2), device="cuda"), CUDA),
    "a CUDA generator": (lambda: torch.rand(2, device="cuda", generator=torch.Generator("cuda")), CUDA),
    "dropout": (lambda: nn.functional.dropout(there(2)), CUDA),
    "cross-entropy": (
        lambda: nn.functional.cross_entropy(there(2, 3), index(0, 1, device="cuda"), label_smoothing=0.1),
        CUDA,
    ),
    "clamp with a scalar on the CPU": (lambda: there(2).clamp(min=here()), CUDA),
    "a default device": (with_default_device, CUDA),
    "deepcopy": (lambda: copy.deepcopy(there(2)), CUDA),
    "meta": (lambda: there(2).to("meta"), torch.device("meta")),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_cuda_takes_is_taken(case: str) -> None:
    compute, device = TAKEN[case]
    assert compute().device == device


WAITING: dict[str, Callable[[], Any]] = {
    "item": lambda: there().item(),
    "float": lambda: float(there()),
    "bool": lambda: bool(there() > 0),
    "tolist": lambda: there(2).tolist(),
    "cpu()": lambda: there(2).cpu(),
    "copy to the CPU": lambda: here(2).copy_(there(2)),
    "nonzero": lambda: there(2).nonzero(),
    "a mask as an index": lambda: there(2)[there(2) > 0],
}


@pytest.mark.parametrize("case", WAITING)
def test_what_waits_for_the_device_is_counted(case: str) -> None:
    there(2).mul(2).to(torch.float64, copy=True).copy_(here(2).to("cuda")).sum()
    assert not WAITS
    WAITING[case]()
    assert WAITS.total() == 1


def test_values_are_computed_and_a_move_copies() -> None:
    first = here(2)
    second = first.to("cuda")
    second += 1
    assert first.tolist() == [1, 1]
    assert second.tolist() == [2, 2]
    assert second.to("cuda") is second


def test_modules_move_with_their_parameters_gradients_and_buffers() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    weight = net[0].weight
    net.to("cuda")
    assert net[0].weight is weight
    net(there(4, 3)).sum().backward()
    copied = copy.deepcopy(net)
    devices = {tensor.device for module in (net, copied) for tensor in module.state_dict().values()}
    assert devices == {CUDA}
    assert weight.grad is not None
    assert weight.grad.device == CUDA
    with pytest.raises(RuntimeError, match="same device"):
        net(here(4, 3))


def test_the_backward_pass_is_checked() -> None:
    class Careless(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, maps: Tensor) -> Tensor:
            return maps * 2

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            assert grad.is_cuda
            return grad * torch.full((2,), 2.0)

    with pytest.raises(RuntimeError, match="same device"):
        Careless.apply(there(2).requires_grad_()).sum().backward()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam"])
@pytest.mark.parametrize("options", [{}, {"foreach": False}], ids=["default", "for each parameter"])
def test_optimizers_and_clipping_work(name: str, options: dict[str, Any]) -> None:
    net = nn.Linear(3, 3).to("cuda")
    optimizer = getattr(torch.optim, name)(net.parameters(), lr=0.1, **options)
    for _ in range(2):
        net(there(4, 3)).sum().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        optimizer.step()
    state = copy.deepcopy(optimizer.state_dict())
    optimizer.load_state_dict(state)
    optimizer.step()


def test_autocast_and_gradient_scaling_work() -> None:
    net = nn.Linear(3, 3).to("cuda")
    scaler = torch.amp.GradScaler("cuda")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with torch.autocast("cuda", torch.bfloat16):
        out = net(there(4, 3))
    assert out.dtype == torch.bfloat16
    scaler.scale(out.float().sum()).backward()
    scaler.step(optimizer)
    scaler.update()


def test_a_file_keeps_the_device_unless_it_is_mapped() -> None:
    file = io.BytesIO()
    torch.save({"weight": there(2), "other": here(2)}, file)
    for location, expected in ((None, CUDA), ("cpu", CPU)):
        file.seek(0)
        state = torch.load(file, map_location=location, weights_only=True)
        assert state["weight"].device == expected
        assert state["other"].device == CPU
