"""Which layer reads whose output, from a symbolic trace, and the replacement of modules."""

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from torch import fx, nn
from torch.nn.utils.parametrize import is_parametrized

from archzoo.restoring import TRACING

Layer = TypeVar("Layer", bound=nn.Module)
PLAIN = (nn.Conv2d.forward, nn.BatchNorm2d.forward, nn.ReLU.forward, nn.Dropout.forward, nn.Identity.forward)


class Structure(fx.Tracer):
    """The graph of a network's layers. A module that cannot be traced counts as one layer.

    Layers of ``whole`` are not looked into. Without ``own_hooks``, the graph is of what runs between the hooks of the
    network itself.
    """

    def __init__(self, net: nn.Module, whole: tuple[type[nn.Module], ...] = (), *, own_hooks: bool = True) -> None:
        super().__init__()
        self.whole, self.unhooked = whole, None if own_hooks else net
        self.thread = threading.get_ident()
        with TRACING:
            self.nodes = list(self.trace(nn.Sequential(net)).nodes)
        self.uses = Counter(map(module_path, self.nodes))
        self.hidden = set(self.inside_layers())
        self.has_options = len(inspect.signature(net.forward).parameters) > 1

    def inside_layers(self) -> Iterator[nn.Module]:
        """Modules of modules that count as one layer: how often they are used is not known."""
        for node in self.nodes:
            if node.op == "call_module":
                _, *inside = self.root.get_submodule(module_path(node)).modules()
                yield from inside

    def layer(self, node: fx.Node) -> nn.Module | None:
        """The plain layer of torch that this node calls and nothing else uses, or None.

        Where a network takes options beside images, other values may use it.
        """
        if node.op != "call_module" or self.uses[module_path(node)] > 1 or self.has_options:
            return None
        module = self.root.get_submodule(module_path(node))
        return module if is_plain(module) and module not in self.hidden else None

    def own_layer(self, node: fx.Node, kind: type[Layer]) -> Layer | None:
        """The module of this class, without hooks, that this node calls, or None."""
        module = self.root.get_submodule(module_path(node)) if node.op == "call_module" else None
        return module if isinstance(module, kind) and not is_hooked(module) else None

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if threading.get_ident() != self.thread:  # modules of other threads are called here too
            return forward(*args, **kwargs)
        if m is self.unhooked:
            return type(m).forward(m, *args, **kwargs)
        if next(m.children(), None) is not None and not is_hooked(m) and not isinstance(m, self.whole):
            before = len(self.graph.nodes)
            try:
                return forward(*args, **kwargs)
            except Exception:  # control flow that depends on values raises anything, a table of them KeyError
                for node in reversed(list(self.graph.nodes)[before:]):
                    self.graph.erase_node(node)
        return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)


def module_path(node: fx.Node) -> str:
    """The path of the module that a node calls, or whose parameter it reads."""
    return str(node.target).rpartition(".")[0] if node.op == "get_attr" else str(node.target)


def is_plain(module: nn.Module) -> bool:
    """Whether a module computes what torch's class does: without hooks, with running statistics."""
    is_tracking = getattr(module, "track_running_stats", True)
    return type(module).forward in PLAIN and not is_modified(module) and is_tracking


def is_modified(module: nn.Module) -> bool:
    """Whether hooks or parametrizations change what a module computes."""
    return is_hooked(module) or is_parametrized(module)


def is_hooked(module: nn.Module) -> bool:
    """Whether a module has forward hooks or forward pre-hooks."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def replace_modules(model: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> None:
    """Replace modules in place, under every name that they have."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and child in replacements:
                setattr(parent, name, replacements[child])
