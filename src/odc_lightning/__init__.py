"""Online Deep Clustering (Zhan, Xie et al., CVPR 2020) on PyTorch Lightning."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odc_lightning.inference import load as load

__version__ = "0.1.0"

# On a CPU, OpenMP's threads spin while they wait for each other. Where something else wants the
# same cores, such as the processes that load images, every step then takes several times as long.
# OpenMP reads this when torch is imported, so it must stand here, before that.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    """`load`, once somebody asks for it: torch and Lightning take seconds to import."""
    if name == "load":
        from odc_lightning.inference import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
