"""The command line: one function per command, each a call or two of the library.

Tables go to stdout, everything else to stderr. Exit codes: 0 success, 1 a mismatch in the audit, an unreadable picture
or more than --max-memory, 2 a wrong request, 128 and the number of the signal where one stopped a run. Any other
exception is a bug and shows its traceback.
"""

import errno
import os
import sys
import traceback
import warnings
from typing import Annotated, NoReturn

import typer

import archzoo as package
from archzoo.cli import _checkpoints as checkpoints
from archzoo.cli import _comparing as comparing
from archzoo.cli import _costs as costs
from archzoo.cli import _drawings as drawings
from archzoo.cli import _fitting as fitting
from archzoo.cli import _identifying as identifying
from archzoo.cli import _listing as listing
from archzoo.cli import _networks as networks
from archzoo.cli import _predicting as predicting
from archzoo.cli import _recipes as recipes
from archzoo.cli import _results as results
from archzoo.cli import _teaching as teaching
from archzoo.cli import _training as training
from archzoo.cli._arguments import log
from archzoo.errors import ArchzooError, is_out_of_memory
from archzoo.escaping import one_line
from archzoo.processes import end_with_parent

# What a machine may refuse at any time, and is no bug: full and read-only disks, limits, missing rights.
MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
COMMANDS = (
    listing.list_networks,
    networks.info,
    networks.audit,
    costs.profile,
    fitting.fits,
    costs.compare,
    comparing.same,
    costs.estimate,
    teaching.worksheet,
    teaching.grade,
    drawings.diagram,
    drawings.report,
    drawings.figures,
    checkpoints.export,
    identifying.identify,
    recipes.recipe,
    training.train,
    training.finetune,
    results.reproduce,
    results.results,
    predicting.evaluate,
    predicting.predict,
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
    _open_standard_streams()
    _end_with_launcher()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except ArchzooError as error:
        if not _report(str(error), 2):
            log(str(error))
        sys.exit(2)
    except BrokenPipeError:  # the reader closed the pipe: archzoo audit | head
        _discard_output()
        sys.exit(0)
    except OSError as error:
        if error.errno not in MACHINE:
            if not _report(traceback.format_exc(), 1):
                raise
            sys.exit(1)
        _discard_output()
        message = f"{error.filename or 'output'} cannot be written: {error.strerror}"
        if not _report(message, 2):
            log(message)
        sys.exit(2)
    except Exception as error:
        if is_out_of_memory(error):
            reason = one_line(str(error).split("DefaultCPUAllocator: ")[-1].partition(". ")[0], 120)
            message = f"there is not enough memory{reason and f' ({reason})'}: give smaller images or batches"
            if not _report(message, 2):
                log(message)
            sys.exit(2)
        if not _report(traceback.format_exc(), 1):
            raise
        sys.exit(1)
    sys.exit(0)


def _end_with_launcher() -> None:
    """End with torchrun, even where it is killed. Before torch is imported, which takes seconds."""
    from archzoo.training import is_launched

    if is_launched():
        end_with_parent()


def _report(message: str, code: int) -> bool:
    """Leave an error to the launcher of this process, which shows one for all of its processes; False without one."""
    from archzoo.training import report_error

    return report_error(message, code)


def _open_standard_streams() -> None:
    """Write to nowhere what was closed by the shell: print takes standard output where standard error is None."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


def _discard_output() -> None:
    """Write to nowhere what is buffered yet: Python would fail to write it a second time at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # not a file, as in a notebook
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
