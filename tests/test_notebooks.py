"""The notebooks run from top to bottom, in a small setting, on real digits; no outputs are committed."""

import ast
from pathlib import Path

import pytest

from tests.networks import EVERY_NET

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
InteractiveShell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell
plt = pytest.importorskip("matplotlib.pyplot")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
# These train several networks, or take many steps.
TRAINING = {"2_twenty_years", "3_block_by_block", "4_optimizers", "5_transfer", "6_regularization"}
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def without_magics(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if not line.startswith("%"))


def test_there_are_seven() -> None:
    assert [path.stem[0] for path in NOTEBOOKS] == list("1234567")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if EVERY_NET or path.stem not in TRAINING], ids=lambda path: path.stem
)
@pytest.mark.filterwarnings("default")
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, with one epoch of training, on smaller images where the notebook allows it."""
    monkeypatch.setenv("EPOCHS", "1")
    monkeypatch.setenv("SIDE", "16")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell.instance()
    try:
        for source in code(path):
            shell.run_cell(without_magics(source)).raise_error()
    finally:
        InteractiveShell.clear_instance()
        plt.close("all")


@pytest.mark.slow
@pytest.mark.skipif(not EVERY_NET, reason="in full with EVERY_NET=1")
@each_notebook
def test_it_runs_in_full_in_a_kernel_of_its_own(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    place = {"metadata": {"path": str(tmp_path)}}
    done = nbclient.NotebookClient(nbformat.read(path, 4), timeout=1200, resources=place).execute()
    assert all(cell.execution_count for cell in done.cells if cell.cell_type == "code")


@each_notebook
def test_no_output_is_committed_and_only_public_names_are_used(path: Path) -> None:
    for cell in nbformat.read(path, 4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    tree = ast.parse("\n".join(map(without_magics, code(path))))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    assert not [alias.name for node in imported for alias in node.names if alias.name.startswith("_")]
    attributes = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert not [name for name in attributes if name.startswith("_") and not name.endswith("__")]
