"""Loader for the files of a page.

The files of one page are in the folder ``page/`` of its package: ``style.css``, scripts and a
template. The folder of that name here has the files that all pages share.
"""

from collections.abc import Sequence
from importlib import resources

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

COMMON = str(__package__)
FOLDER = "page"


def page_style(package: str) -> str:
    """The style sheet of a page: the shared rules, then the page's, which may override them."""
    return f"{_read(COMMON, 'common.css')}\n{_read(package, 'style.css')}"


def page_scripts(package: str, names: Sequence[str]) -> dict[str, str]:
    """The scripts of a page by name, in the order of execution: the shared one first.

    Args:
        package: of the page.
        names: of the page's scripts, in their order.
    """
    own = {name: _read(package, name) for name in names}
    return {"common.js": _read(COMMON, "common.js"), **own}


def page_file(package: str, name: str) -> str:
    """The text of another file of a page."""
    return _read(package, name)


def page_template(package: str, name: str) -> Template:
    """A template of a page; it can import ``common.html``."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(each, FOLDER) for each in (package, COMMON)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _read(package: str, name: str) -> str:
    return (resources.files(package) / FOLDER / name).read_text(encoding="utf-8")
