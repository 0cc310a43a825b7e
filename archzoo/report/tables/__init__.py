"""Audits, profiles and comparisons as text, in several formats."""

from archzoo.report.tables._audit import audit_table, place, quantity, summary, write_audit
from archzoo.report.tables._differences import differences_table, shared_by
from archzoo.report.tables._profile import (
    comparison_table,
    profile_table,
    torchinfo_summary,
    write_comparison,
    write_profile,
)
from archzoo.report.tables._text import markdown_row, markdown_table, short

__all__ = [
    "audit_table",
    "comparison_table",
    "differences_table",
    "markdown_row",
    "markdown_table",
    "place",
    "profile_table",
    "quantity",
    "shared_by",
    "short",
    "summary",
    "torchinfo_summary",
    "write_audit",
    "write_comparison",
    "write_profile",
]
