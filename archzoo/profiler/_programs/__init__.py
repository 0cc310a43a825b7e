"""Networks from files that hold a graph: ONNX, and torch.export's .pt2. Only the graph is read, and no code of it runs.

The graph becomes a module on the meta device, whose parts are those that the exporter has noted for each node. So it
has no values, but can be profiled as the module that it came from.
"""

import os
from pathlib import Path

from archzoo.errors import ProfileError
from archzoo.profiler._programs._onnx import read_onnx
from archzoo.profiler._programs._parts import Program
from archzoo.profiler._programs._pt2 import read_pt2

READERS = {".onnx": read_onnx, ".pt2": read_pt2}

__all__ = ["READERS", "Program", "read_program"]


def read_program(path: str | Path) -> Program:
    """The network in a file of ONNX or of ``torch.export.save``, and its inputs.

    Raises ProfileError for a file that is neither, or that has an operator without a rule, and MissingDependency for
    ONNX without the extra "onnx".
    """
    path = Path(path)
    if path.suffix not in READERS:
        raise ProfileError(f"{path} is not a graph: its name must end in {' or '.join(READERS)}")
    if not os.path.isfile(path):
        raise ProfileError(f"there is no file {path}")
    return READERS[path.suffix](path)
