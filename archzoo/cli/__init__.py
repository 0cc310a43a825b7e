"""The command line: one function a verb, each a call or two of the library.

Tables go to stdout, everything else to stderr. Exit codes: 0 fine, 1 a claim is not met, 2 the request is wrong.
"""

import os
import sys
import warnings
from typing import NoReturn

import typer

from archzoo.cli import checkpoints, costs, drawings, networks, recipes, training
from archzoo.cli.arguments import log

VERBS = (
    networks.names,
    networks.show,
    networks.audit,
    costs.profile,
    costs.compare,
    costs.estimate,
    drawings.diagram,
    drawings.report,
    drawings.figures,
    checkpoints.export,
    recipes.recipe,
    training.train,
    training.finetune,
)

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)
for _verb in VERBS:
    app.command()(_verb)
app.add_typer(checkpoints.weights, name="weights")


@app.callback()
def archzoo() -> None:
    """The classic convolutional networks, each exactly as its paper describes it, counted and audited."""


def main() -> NoReturn:
    """Run the command line."""
    warnings.showwarning = lambda message, *_, **__: log(str(message).removeprefix("archzoo: "))
    try:
        app()
    except ValueError as error:  # an ArchzooError, a ProfileError, or a refusal of the network itself
        log(" ".join(str(error).split()))
        sys.exit(2)
    except BrokenPipeError:  # the reader has seen enough: archzoo audit | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)
