"""The files of the page: HTML, style, scripts, and data as scripts.

A page opened from a disk may not read files, but it may run scripts beside it. So each piece of
data is a script with JSON, which the page loads when it needs the data.
"""

import json
from pathlib import Path
from typing import Any

from odc_lightning.reporting.page_parts import (
    page_file,
    page_scripts,
    page_style,
    page_template,
)

# In the order of loading.
SCRIPTS = (
    "base.js",
    "names.js",
    "naming.js",
    "pictures.js",
    "viewer.js",
    "overview.js",
    "cluster.js",
    "lists.js",
    "labels.js",
    "search.js",
    "map.js",
    "main.js",
)
STYLE, ICON = "style.css", "icon.svg"
TEMPLATE = "index.html"


def write_data(folder: Path, name: str, value: Any) -> None:
    """Write a piece of data as a script.

    Everything beyond ASCII is escaped, so no name ends a string or a line. Names that are not valid
    UTF-8 are kept as they are.

    Args:
        folder: of the page's data.
        name: such as ``members/12``; the script hands the data over under this name.
        value: of JSON types.
    """
    path = folder / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    path.write_text(f"page.take({json.dumps(name)},{text});\n", encoding="ascii")


def write_page(folder: Path, facts: dict[str, Any]) -> None:
    """Write ``index.html`` and the files that it needs beside its data.

    Args:
        folder: of the page.
        facts: the template's variables.
    """
    assets = folder / "page" / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    package = str(__package__)
    scripts = page_scripts(package, SCRIPTS)
    others = {STYLE: page_style(package), ICON: page_file(package, ICON)}
    for name, text in {**scripts, **others}.items():
        (assets / name).write_bytes(text.encode())
    html = page_template(package, TEMPLATE).render(scripts=scripts, style=STYLE, icon=ICON, **facts)
    # The name of a run may have characters that are not UTF-8.
    (folder / "index.html").write_bytes(html.encode("utf-8", "replace"))
