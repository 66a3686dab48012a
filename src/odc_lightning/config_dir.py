"""Where the configs are; apart, since it is asked for where nothing heavy may be imported."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
# conf/ is inside the installed package, and at the top of a checkout.
CONFIG_DIR = str(next(p for p in (_HERE / "conf", _HERE.parents[1] / "conf") if p.is_dir()))
