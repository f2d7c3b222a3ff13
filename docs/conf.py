"""The documentation site: `make docs` builds it from README.md, docs/ and the docstrings, without network.

The source folder of Sphinx is the checkout, so that one relative link works in the site and on GitHub.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "extensions")]

import vidrec  # noqa: E402

project = "vidrec"
author = "vidrec developers"
copyright = "vidrec developers, Apache-2.0"
version = release = vidrec.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "config_reference"]
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "model_zoo/README.md", "docs/**.md"]
# Not searched for pages: what is large or comes and goes.
exclude_patterns = [".*", "build", "dist", "runs", "demo_data", "tests", "venv", "**/__pycache__"]
nitpicky = False
suppress_warnings = []

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_typehints = "description"
autodoc_member_order = "bysource"
default_role = "code"
smartquotes = False  # '' is a value of many keys

html_theme = "furo"
html_title = f"vidrec {version}"
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # it fetches the pages, which a browser refuses for files
# The start page is docs/index.html; this one sends there.
html_additional_pages = {"index": "redirect.html"}
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["pages.css"]


def setup(app):
    app.connect("source-read", list_other_pages)
    app.connect("env-get-outdated", lambda *_: [root_doc])  # a page may have come


def list_other_pages(app, docname, source):
    """Puts the pages of docs/ that the index does not name where it says so, so that none is lost."""
    if docname == root_doc:
        named = set(re.findall(r"^\w+$", source[0], re.MULTILINE))
        pages = sorted(path.stem for path in Path(__file__).parent.glob("*.md"))
        others = [name for name in pages if name not in named | {"index"}]
        source[0] = source[0].replace("<!-- pages that are not named here -->", "\n".join(others))
