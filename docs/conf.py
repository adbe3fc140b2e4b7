"""How the pages in this folder are built: `make docs`. Warnings, such as a broken link, are errors."""

from importlib.metadata import version as _version

project = "Green Power"
version = release = _version("greenpower")
extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["build", "examples"]
myst_heading_anchors = 4
# Nothing is loaded from other servers: sites are often offline.
html_theme = "furo"
html_title = "Green Power"
html_copy_source = False
