"""Compiled, data-parallel and sharded modules: their counts are those of the module."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

import archzoo
from archzoo.errors import ProfileError
from archzoo.profiler import Profile, memory


def net() -> nn.Sequential:
    block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(nn.Conv2d(3, 4, 3), block, nn.Flatten(), nn.Linear(4 * 6 * 6, 2))


SIZE = (3, 8, 8)


def facts(counted: Profile) -> list[Any]:
    """Everything that is counted, part by part, but the names of classes that wrappers change."""
    return [
        (part.name, part.kind, part.params, part.conv_params, part.work, part.calls, part.depth, part.output)
        for part in counted.modules
    ]


def compiled(module: nn.Module) -> nn.Module:
    """Compiled without code generation: what counts is that it is compiled, not by what."""
    return torch.compile(module, backend="eager")  # type: ignore[return-value]


def compiled_inside() -> nn.Module:
    outer = net()
    outer[1] = compiled(outer[1])
    return outer


def compiled_in_place() -> nn.Module:
    outer = net()
    outer[1].compile(backend="eager")
    outer.compile(backend="eager", fullgraph=True)
    return outer


class CompiledFunction(nn.Sequential):
    """A network whose forward calls a compiled function, which must be one graph."""

    def forward(self, x: Tensor) -> Tensor:
        inner = super().forward

        @torch.compile(backend="eager", fullgraph=True)
        def run(maps: Tensor) -> Tensor:
            return inner(maps)

        return run(x)


COMPILED: dict[str, Callable[[], nn.Module]] = {
    "the whole": lambda: compiled(net()),
    "in another wrapper": lambda: nn.DataParallel(compiled(net())),
    "a part": compiled_inside,
    "in place": compiled_in_place,
}


@pytest.mark.slow  # importing the compiler takes seconds
@pytest.mark.parametrize("how", COMPILED)
def test_a_compiled_module_counts_as_its_original(how: str) -> None:
    wrapped = COMPILED[how]()
    before = [type(module) for module in wrapped.modules()]
    assert facts(archzoo.profile(wrapped, SIZE)) == facts(archzoo.profile(net(), SIZE))
    assert [type(module) for module in wrapped.modules()] == before
    plain, of_wrapped = (memory(model, SIZE, batch=2) for model in (net(), wrapped))
    assert (of_wrapped.training, of_wrapped.saved) == (plain.training, plain.saved)


@pytest.mark.slow
def test_a_compiled_function_in_forward_runs_as_it_is_written() -> None:
    counted = archzoo.profile(CompiledFunction(*net()), SIZE)
    assert [part.work for part in counted.modules] == [part.work for part in archzoo.profile(net(), SIZE).modules]
    assert torch.compiler.is_compiling() is False
    with torch.no_grad():  # the compiler works as before
        assert torch.compile(lambda x: x + 1, backend="eager", fullgraph=True)(torch.ones(2)).tolist() == [2, 2]


@pytest.fixture
def group() -> Iterator[None]:
    """A group of this process alone."""
    dist.init_process_group("gloo", store=torch._C._distributed_c10d.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_a_data_parallel_module_counts_as_its_module() -> None:
    expected = facts(archzoo.profile(net(), SIZE))
    assert facts(archzoo.profile(nn.parallel.DistributedDataParallel(net()), SIZE)) == expected
    inside = net()
    inside[1] = nn.parallel.DistributedDataParallel(inside[1])
    assert facts(archzoo.profile(inside, SIZE)) == expected
    assert isinstance(inside[1], nn.parallel.DistributedDataParallel)
    assert memory(inside, SIZE, batch=2).training == memory(net(), SIZE, batch=2).training


def test_data_parallel_of_one_process_too() -> None:
    assert facts(archzoo.profile(nn.DataParallel(net()), SIZE)) == facts(archzoo.profile(net(), SIZE))


@pytest.fixture
def four_processes() -> Iterator[None]:
    """A group of four processes, of which three are pretended."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=4)
    yield
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.usefixtures("four_processes")
@pytest.mark.filterwarnings("ignore")
def test_a_sharded_module_counts_as_the_whole_module() -> None:
    """Each process has a quarter of every parameter, and gathers them when it runs."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (4,))
    sharded = net()
    fully_shard(sharded[1], mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    own: Any = next(sharded.parameters())
    assert own.to_local().numel() < own.numel()
    kinds = [type(module) for module in sharded.modules()]
    hooks = [len(module._forward_pre_hooks) for module in sharded.modules()]
    assert facts(archzoo.profile(sharded, SIZE)) == facts(archzoo.profile(net(), SIZE))
    assert [type(module) for module in sharded.modules()] == kinds
    assert [len(module._forward_pre_hooks) for module in sharded.modules()] == hooks
    with pytest.raises(ProfileError, match="a Sequential sharded by fully_shard cannot be copied"):
        memory(sharded, SIZE)
