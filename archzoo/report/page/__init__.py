"""All networks on one HTML page, a single file that loads nothing else."""

import warnings
from collections.abc import Iterable, Iterator, Sequence

import archzoo
from archzoo.auditor import AuditResult, audit
from archzoo.errors import ReportError
from archzoo.options import in_a_line, shown
from archzoo.report.diagram import STYLE
from archzoo.report.page import _overview as overview
from archzoo.report.page._html import asset
from archzoo.report.page._network import Network, describe
from archzoo.report.page._sections import section
from archzoo.results import Row, rows

__all__ = ["page"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(pattern: str = "*") -> str:
    """HTML of the networks whose names match ``pattern``: a table, a chart, and a section each.

    Takes half a minute for all networks. One of another package that cannot be shown is left out, with a warning.
    Raises ArchzooError if no name matches, and ReportError if none can be shown.
    """
    audited = audit(pattern)
    measured = [row for row in rows(pattern) if row.measured is not None]
    networks = list(_shown(archzoo.names(pattern), audited, measured))
    if not networks:
        raise ReportError(f"no network that {shown(pattern)} matches can be shown")
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


def _shown(names: Iterable[str], audited: Sequence[AuditResult], measured: Sequence[Row]) -> Iterator[Network]:
    """What the page shows about each network."""
    for name in names:
        try:
            network = describe(name, audited, measured)
            for show in (overview.row, section):
                show(network)  # what cannot be shown raises here, and not in the middle of the page
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also an exit
            if archzoo.find(name).module.startswith("archzoo."):
                raise
            reason = f"{type(error).__name__}: {in_a_line(error)}"
            warnings.warn(f"archzoo: {name} is not on the page: {reason}", stacklevel=3)
        else:
            yield network
