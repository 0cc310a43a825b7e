"""Regenerate the tables of README.md and docs, and docs/estimate.md.

python -m tools.generate [--tables]
"""

import argparse
import json
from pathlib import Path

from archzoo.files import write_text
from tools.estimate_page import Measured, page
from tools.readme import fill, tables

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "benchmarks" / "committed.json"
FILLED = (
    ROOT / "README.md",
    ROOT / "docs" / "benchmarks.md",
    ROOT / "docs" / "libraries.md",
    ROOT / "docs" / "results.md",
    ROOT / "docs" / "guide" / "explained.md",
    ROOT / "docs" / "guide" / "checkpoints.md",
)


def main() -> None:
    """Write the files that the arguments select."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", action="store_true", help="only the tables: docs/estimate.md takes three minutes")
    arguments = parser.parse_args()
    generated = tables(json.loads(MEASURED.read_text(encoding="utf-8")))
    for file in FILLED:
        write_text(file, fill(file.read_text(encoding="utf-8"), generated))
    if not arguments.tables:
        write_text(ROOT / "docs" / "estimate.md", page(Measured.read(MEASURED)))


if __name__ == "__main__":
    main()
