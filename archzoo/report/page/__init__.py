"""All networks on one HTML page, a single file that loads nothing else."""

import archzoo
from archzoo.auditor import audit
from archzoo.report.diagram import STYLE
from archzoo.report.page import _overview as overview
from archzoo.report.page._html import asset
from archzoo.report.page._network import describe
from archzoo.report.page._sections import section
from archzoo.results import rows

__all__ = ["page"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(pattern: str = "*") -> str:
    """HTML of the networks whose names match ``pattern``: a table, a chart, and a section each.

    Takes half a minute for all networks. Raises ArchzooError if no name matches.
    """
    audited = audit(pattern)
    measured = [row for row in rows(pattern) if row.measured is not None]
    networks = [describe(name, audited, measured) for name in archzoo.names(pattern)]
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>archzoo</title>\n<style>{asset('page.css')}{STYLE}</style></head>\n<body>\n",
            overview.head(networks, audited),
            overview.chart(),
            overview.table(networks),
            "<h2>Network by network</h2>\n",
            *map(section, networks),
            f'<script type="application/json" id="data">{overview.data(networks)}</script>\n',
            f"<script>{asset('page.js')}</script>\n</body></html>\n",
        ]
    )
