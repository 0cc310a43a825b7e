"""The notebooks run from top to bottom, in a small setting, on real digits; outputs of a whole run are committed."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

import archzoo
from archzoo.report._papers import name_and_year, short_name
from tests.networks import EVERY_NET

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
InteractiveShell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell
plt = pytest.importorskip("matplotlib.pyplot")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
# These train several networks, take a thousand steps, or build the largest networks.
LONG = {"2_twenty_years", "3_block_by_block", "4_optimizers", "5_transfer", "6_regularization", "8_by_hand"}
# Folders of a machine, in POSIX and Windows.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:tmp|home|root|work|usr|var|opt|Users|private)/|\b[A-Z]:\\\\")
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def without_magics(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if not line.startswith("%"))


def test_there_are_eight() -> None:
    assert [path.stem[0] for path in NOTEBOOKS] == list("12345678")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if EVERY_NET or path.stem not in LONG], ids=lambda path: path.stem
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
def test_outputs_of_one_whole_run_are_committed(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    text = "\n".join(output.text for output in outputs if output.output_type == "stream")
    assert not MACHINE_PATH.search(text)
    assert path.stat().st_size < 600_000


@each_notebook
def test_it_states_how_long_it_runs_and_has_exercises_with_solutions(path: Path) -> None:
    cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
    assert "Runs in about" in " ".join(cells[0].split())
    exercises = next(cell for cell in cells if "## Exercises" in cell)
    asked, _, solved = exercises.partition("<details><summary>Solutions</summary>")
    numbers = [re.findall(r"^(\d)\. ", text, re.MULTILINE) for text in (asked, solved)]
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) >= 2
    assert "$" in "".join(cells)  # formulas


def test_every_paper_with_networks_has_a_block_by_hand() -> None:
    """Under a heading of its name and year, followed by a comparison with ours; the papers are in order of years."""
    cells = nbformat.read(next(path for path in NOTEBOOKS if path.stem.startswith("8")), 4).cells
    heading = re.compile(r"## ((.*) \((\d{4})\)):")
    blocks = {match: block.source for cell, block in pairwise(cells) if (match := heading.match(cell.source))}
    papers = [archzoo.find(name).paper for name in archzoo.names()]
    assert {match[2] for match in blocks} == set(map(short_name, papers))
    assert {match[1] for match in blocks} <= set(map(name_and_year, papers))
    assert [match[3] for match in blocks] == sorted(match[3] for match in blocks)
    assert all("\ncompare(" in block for block in blocks.values())


@each_notebook
def test_only_public_names_are_used(path: Path) -> None:
    tree = ast.parse("\n".join(map(without_magics, code(path))))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    assert not [alias.name for node in imported for alias in node.names if alias.name.startswith("_")]
    attributes = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert not [name for name in attributes if name.startswith("_") and not name.endswith("__")]
