"""Train and eval mode of modules."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from archzoo.restoring import undone


@contextmanager
def evaluation_mode(*modules: nn.Module) -> Iterator[None]:
    """Put modules into eval mode, and restore the train or eval mode of every submodule on exit.

    Modes are restored submodule by submodule, so that frozen parts stay in eval mode.
    """
    training = {submodule: submodule.training for module in modules for submodule in module.modules()}

    def restore() -> None:
        for submodule, mode in training.items():
            submodule.training = mode

    with undone([restore]):
        for module in modules:
            module.eval()
        yield
