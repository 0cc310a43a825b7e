"""The tables of docs/guide/checkpoints.md: the sources of checkpoints, and the sets that they publish."""

from itertools import groupby

from archzoo.report.tables import markdown_table
from archzoo.weights import PUBLISHED, PublishedWeights
from archzoo.weights._libraries import SOURCES, Counterpart
from archzoo.weights._published import spell


def sources() -> str:
    """A row for each network of a source that has our tensors, and for those that are taken for one of ours."""
    rows = []
    for name, source in SOURCES.items():
        link = f"[{name}]({source.page})"
        rows += [[link, row.theirs, _ours(row), _verdict(row)] for row in source.networks]
        rows += [[link, theirs, "-", f"none of ours: {what}"] for theirs, what in source.others.items()]
    return markdown_table(["source", "its networks", "here", "verdict"], rows)


def _ours(row: Counterpart) -> str:
    return f"`{row.constructor}`" + (f", {spell(row.options)}" if row.options else "")


def _verdict(row: Counterpart) -> str:
    if row.differs:
        return f"same tensors, another function: {row.differs}"
    permuted = ", with channels in another order" if row.names.permuted else ""
    return f"equal{permuted}" if row.names.classifier else "equal, without the classifier"


def sets() -> str:
    """The sets of each source and network, with what their authors print of them."""
    shown = [published for published in PUBLISHED if published.library not in ("torchvision", "timm")]
    rows = []
    for (library, labels), group in groupby(shown, lambda published: (published.library, published.labels)):
        rows += [[library, labels, f"`{published.tag}`", _network(published), published.printed] for published in group]
    return markdown_table(["source", "data", "set", "network", "printed by its authors"], rows)


def _network(published: PublishedWeights) -> str:
    options = {name: value for name, value in published.options.items() if name != "num_classes"}
    return f"`{published.network}`" + (f", {spell(options)}" if options else "")
