"""Audits, profiles and comparisons as text, in several formats."""

from archzoo.report.tables._audit import audit_table, place, quantity, reasons, summary, write_audit
from archzoo.report.tables._differences import differences_table, shared_by
from archzoo.report.tables._profile import (
    comparison_table,
    fit_profile,
    profile_table,
    torchinfo_summary,
    write_comparison,
    write_profile,
)
from archzoo.report.tables._text import as_plain_text, markdown_row, markdown_table, short
from archzoo.report.tables._worksheet import write_worksheet

__all__ = [
    "as_plain_text",
    "audit_table",
    "comparison_table",
    "differences_table",
    "fit_profile",
    "markdown_row",
    "markdown_table",
    "place",
    "profile_table",
    "quantity",
    "reasons",
    "shared_by",
    "short",
    "summary",
    "torchinfo_summary",
    "write_audit",
    "write_comparison",
    "write_profile",
    "write_worksheet",
]
