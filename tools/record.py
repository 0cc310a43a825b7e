"""Enter what ``archzoo reproduce`` ran into the table of results.

python -m tools.record runs/RECIPE-NETWORK/reproduction.json [--machine TEXT]
"""

import argparse
import re
import shutil
from dataclasses import replace
from pathlib import Path

from archzoo.errors import ReportError
from archzoo.files import write_text
from archzoo.results import MEASURED, Measured, find_row, read_measured, text_of

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "docs" / "results"  # result.json of each run


def main() -> None:
    """Record the file that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="reproduction.json of a folder of runs")
    parser.add_argument("--machine", default="", help="what they ran on, in words")
    arguments = parser.parse_args()
    for run in read_measured(arguments.file):
        record(run, arguments.file.parent, arguments.machine)


def record(run: Measured, folder: Path, machine: str = "", *, measured: Path = MEASURED, kept: Path = KEPT) -> Measured:
    """Enter one entry, in place of an earlier one of the same runs, and keep the result.json of each.

    Raises ReportError for runs of a working copy that is no commit, or of which a result.json is missing.
    """
    find_row(run.recipe, run.network, run.options)
    if not re.fullmatch("[0-9a-f]{7,40}", run.commit):
        raise ReportError(
            f"{run.command} was run by {run.commit}, which is no commit: run it in a clone without changes"
        )
    names = [f"{_title(run)}-{seed}.json" for seed in run.seeds]
    sources = [folder / f"seed-{seed}" / "result.json" for seed in run.seeds]
    if missing := [source for source in sources if not source.is_file()]:
        raise ReportError(f"{missing[0]} is missing: rerun {run.command}")
    kept.mkdir(parents=True, exist_ok=True)
    for source, name in zip(sources, names, strict=True):
        shutil.copyfile(source, kept / name)
    files = tuple(f"docs/results/{name}" for name in names)
    entry = replace(run, machine=machine or run.machine, files=files)
    others = [other for other in read_measured(measured) if not _same(other, entry)]
    write_text(measured, text_of([*others, entry]))
    return entry


def _title(run: Measured) -> str:
    """A name for the files of a run, which runs of other options or changes do not have."""
    values = [f"{name}={value}" for name, value in (*run.options.items(), *run.changes.items())]
    return "-".join([run.recipe, run.network, *(re.sub(r"[^\w.]+", "_", value).strip("_") for value in values)])


def _same(first: Measured, second: Measured) -> bool:
    """Whether two entries are of the same network, recipe and changes."""
    keys = [(run.recipe, run.network, dict(run.options), dict(run.changes)) for run in (first, second)]
    return keys[0] == keys[1]


if __name__ == "__main__":
    main()
