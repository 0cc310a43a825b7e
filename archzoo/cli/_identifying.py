"""The command that tells which network a checkpoint is for."""

from pathlib import Path
from typing import Annotated

import typer


def identify(
    files: Annotated[list[Path], typer.Argument(help="Checkpoints: safetensors, files of torch.save, pickles.")],
) -> None:
    """Tell which network a checkpoint is for, whose names its tensors have, and what its tensors do not show."""
    from archzoo.weights import describe, identify

    for file in files:
        print("\n".join(describe(identify(file))))
