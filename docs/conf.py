# SPDX-License-Identifier: MIT
"""The documentation site: `make docs`, where a warning is an error."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import cryptensor  # noqa: E402

project = "cryptensor"
author = "The cryptensor authors"
version = release = cryptensor.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "cost_table"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
# Of names in the docstrings.
default_role = "code"

html_theme = "furo"
html_title = f"cryptensor {release}"
html_copy_source = False

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True


_SPECIAL = re.compile(r"(`[^`]*`)|([\\*|]|_(?=\W|$))")
_PARAMETER = re.compile(r"^(\w+(?:, \w+)*): (?=\S)")


def _plain_text(app, what, name, obj, options, lines):
    """Docstrings are plain text: `x: what it is` is a parameter, indented lines go on with it."""
    written, listing = [], False
    for line in lines:
        parameter = _PARAMETER.match(line)
        if parameter or (listing and line and not line.startswith(" ")):
            written.append("")
        listing = bool(parameter) or (listing and line.startswith(" "))
        line = _SPECIAL.sub(_escaped, line)
        if parameter:
            line = f"- **{parameter[1]}**: {line[parameter.end() :]}"
        elif listing:
            line = "  " + line.lstrip()
        written.append(line)
    lines[:] = written


def _escaped(found):
    return found[1] or f"\\{found[2]}"


def setup(app):
    app.connect("autodoc-process-docstring", _plain_text)
