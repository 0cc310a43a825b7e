"""The parameter-count report: every printed number beside ours, as Markdown, LaTeX, CSV or JSON.

python scripts/param_report.py [PATTERN] [--format markdown|latex|csv|json] [--output FILE]
"""

import argparse
import sys
from pathlib import Path
from typing import get_args

import archzoo
from archzoo.files import atomic_write
from archzoo.report.tables import Printed, write


def main(arguments: list[str] | None = None) -> None:
    """Print the report, or write it to a file, whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", nargs="?", default="*", help="which networks, as a shell pattern")
    parser.add_argument("--format", choices=get_args(Printed), default="markdown")
    parser.add_argument("--output", type=Path, help="a file; stdout by default")
    given = parser.parse_args(arguments)
    try:
        report = write(archzoo.audit(given.pattern), given.format)
        if given.output is None:
            sys.stdout.write(report)
        else:
            with atomic_write(given.output) as partial:
                partial.write_text(report, encoding="utf-8")
    except (archzoo.ArchzooError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
