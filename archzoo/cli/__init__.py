"""The command line: one function per command, each a call or two of the library.

Tables go to stdout, everything else to stderr. Exit codes: 0 success, 1 a mismatch in the audit, 2 a wrong request.
Any other exception is a bug and shows its traceback.
"""

import os
import sys
import warnings
from typing import Annotated, NoReturn

import typer

import archzoo as package
from archzoo.cli import _checkpoints as checkpoints
from archzoo.cli import _costs as costs
from archzoo.cli import _drawings as drawings
from archzoo.cli import _identifying as identifying
from archzoo.cli import _networks as networks
from archzoo.cli import _recipes as recipes
from archzoo.cli import _training as training
from archzoo.cli._arguments import log
from archzoo.errors import ArchzooError

COMMANDS = (
    networks.list_networks,
    networks.info,
    networks.audit,
    costs.profile,
    costs.compare,
    costs.estimate,
    drawings.diagram,
    drawings.report,
    drawings.figures,
    checkpoints.export,
    identifying.identify,
    recipes.recipe,
    training.train,
    training.finetune,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in COMMANDS:
    app.command(_command.__name__.removesuffix("_networks"))(_command)
app.add_typer(checkpoints.weights, name="weights")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"archzoo {package.__version__}")
        raise typer.Exit


@app.callback()
def archzoo(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Classic convolutional networks, each as its paper describes it: build, profile, audit and train them."""


def main() -> NoReturn:
    """Run the command line."""
    warnings.showwarning = lambda message, *_, **__: log(str(message).removeprefix("archzoo: "))
    try:
        app()
    except ArchzooError as error:
        log(" ".join(str(error).split()))
        sys.exit(2)
    except BrokenPipeError:  # the reader closed the pipe: archzoo audit | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)
