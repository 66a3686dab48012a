"""The location of the configs; imports nothing heavy, since `odc` and the completion need it."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
# conf/ is inside the installed package, and at the top of a checkout.
CONFIG_DIR = str(next(p for p in (_PACKAGE / "conf", _PACKAGE.parents[1] / "conf") if p.is_dir()))
