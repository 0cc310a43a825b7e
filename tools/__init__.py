"""Generators of this repository's own tables and documentation pages. Not part of the package."""
