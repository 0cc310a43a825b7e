"""What a network shows of itself: a line for its repr, and a table of its parts for a notebook."""

from collections import Counter
from typing import Any

from torch import nn

from archzoo import notebook_html as html
from archzoo.options import shown


def as_line(net: Any) -> str:
    """The name and the options that build a network, and its input size; nothing without a name."""
    if not net.name:
        return ""
    options = "".join(f", {name}={shown(value)}" for name, value in net.options.items())
    return f"{net.name}{options}, input {'x'.join(map(str, net.input_size or ()))}"


def as_html(net: Any) -> str:
    """The same, with its parameters, and a table of its parts. Runs nothing."""
    parameters = list(net.parameters())
    count = sum(parameter.numel() for parameter in parameters)
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    facts = [f"input {'x'.join(map(str, net.input_size))}"] if net.input_size else []
    facts += [f"{name}={shown(value)}" for name, value in net.options.items()]
    facts += [f"{count:,} parameters", f"{trainable:,} trainable" if trainable < count else ""]
    facts += sorted({f"{str(p.dtype).removeprefix('torch.')} on {p.device}" for p in parameters})
    facts += ["training mode" if net.training else "eval mode"]
    rows = [
        (f"{half}.{name}", _kind(part), f"{sum(parameter.numel() for parameter in part.parameters()):,}")
        for half, module in net.named_children()
        for name, part in module.named_children()
    ]
    return html.title(net.name or type(net).__name__, *facts) + html.table(
        ("part", "layers", "parameters"), rows, numbers=("parameters",)
    )


def _kind(part: nn.Module) -> str:
    """A layer as torch prints it; of a group the classes of its children, with their number."""
    children = Counter(type(child).__name__ for child in part.children())
    if not children:
        return repr(part)
    inside = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in children.items())
    return f"{type(part).__name__}({inside})"
