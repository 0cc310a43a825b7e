"""How the documentation is built: ``sphinx-build -W docs docs/_build``."""

import sys
from pathlib import Path
from typing import Any

import archzoo

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the generators in tools/
from tools.paper_pages import write_pages

project = "archzoo"
author = "the developers of archzoo"
release = version = archzoo.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
napoleon_use_ivar = True
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "archzoo"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_js_files = [("tables.js", {"defer": "defer"})]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"show-inheritance": False}
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # pages that include parts of the README begin below its title


def _generate(app: Any) -> None:
    write_pages(Path(app.srcdir) / "papers")


def setup(app: Any) -> None:
    """Sphinx calls this before it reads the pages."""
    app.connect("builder-inited", _generate)
