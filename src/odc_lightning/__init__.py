"""Online Deep Clustering (Zhan, Xie et al., CVPR 2020) on PyTorch Lightning."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odc_lightning.inference import load as load

__version__ = "0.1.0"

# On a CPU, OpenMP's threads spin while they wait for each other. Where something else wants the
# same cores, such as the processes that load images, every step then takes several times as long.
# OpenMP reads this when torch is imported, so it must stand here, before that.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Modules that moved, by the names under which configs of earlier runs have their `_target_`.
MOVED = {
    "command": "odc_lightning.cli.command",
    "jobs": "odc_lightning.sweeps.jobs",
    "loggers": "odc_lightning.runs.metrics_csv",
    "protocols": "odc_lightning.evaluation",
    "wandb_run": "odc_lightning.runs.wandb_run",
}


def __getattr__(name: str) -> Any:
    """`load`, and modules that moved, once they are used: torch and Lightning import slowly."""
    if name == "load":
        from odc_lightning.inference import load

        return load
    if name in MOVED:
        return importlib.import_module(MOVED[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
