"""Write anew what is generated, from the registry, the audit and what the benchmarks committed.

That is tables in README and docs/guide, and docs/scale.md.

python scripts/generated.py [--tables]
"""

import argparse
import json
from pathlib import Path

from archzoo.report.readme import fill, tables
from archzoo.report.scale_page import Measured, page

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "benchmarks" / "committed.json"
FILLED = (ROOT / "README.md", ROOT / "docs" / "guide" / "explained.md")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", action="store_true", help="the tables alone: docs/scale.md takes three minutes")
    given = parser.parse_args()
    found = tables(json.loads(MEASURED.read_text(encoding="utf-8")))
    for file in FILLED:
        file.write_text(fill(file.read_text(encoding="utf-8"), found), encoding="utf-8")
    if not given.tables:
        (ROOT / "docs" / "scale.md").write_text(page(Measured.read(MEASURED)), encoding="utf-8")
