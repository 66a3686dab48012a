"""The page as files: one HTML file, scripts and style beside it, data as scripts.

A page that was opened from a disk may not read files, but it may run scripts that lie beside it.
So each piece of data is a script that hands over JSON, loaded when the page needs it.
"""

import json
from pathlib import Path
from typing import Any

from odc_lightning.reporting.page_parts import page_scripts, page_style, page_template

# In the order in which they are loaded.
SCRIPTS = (
    "base.js",
    "pictures.js",
    "viewer.js",
    "overview.js",
    "cluster.js",
    "lists.js",
    "search.js",
    "map.js",
    "main.js",
)
STYLE = "style.css"
TEMPLATE = "index.html"


def write_data(folder: Path, name: str, value: Any) -> None:
    """Write a piece of data as a script.

    Everything beyond ASCII is escaped, so that no name ends a string or a line, and names that are
    not valid UTF-8 arrive as they are.

    Args:
        folder: of the page's data.
        name: as ``members/12``; the script hands the data over by this name.
        value: of JSON's types.
    """
    path = folder / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    path.write_text(f"page.take({json.dumps(name)},{text});\n", encoding="ascii")


def write_page(folder: Path, facts: dict[str, Any]) -> None:
    """Write ``index.html`` and the files that it needs beside its data.

    Args:
        folder: of the page.
        facts: what the template names.
    """
    assets = folder / "page" / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    package = str(__package__)
    scripts = page_scripts(package, SCRIPTS)
    for name, text in {**scripts, STYLE: page_style(package)}.items():
        (assets / name).write_bytes(text.encode())
    html = page_template(package, TEMPLATE).render(scripts=scripts, style=STYLE, **facts)
    # A name of somebody's run may hold what is not UTF-8.
    (folder / "index.html").write_bytes(html.encode("utf-8", "replace"))
