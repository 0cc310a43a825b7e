"""Changes of networks, for ``benchmarks/mutants.py``. Importing this package registers every kind of change."""

from mutations import gates, indices, joins, orders, padding, settings, sums, weights, wordings

__all__ = ["gates", "indices", "joins", "orders", "padding", "settings", "sums", "weights", "wordings"]
