"""Take a network away: ``python -m odc_lightning.export run=RUN out=FOLDER``.

A folder with the backbone's weights by the names of torchvision or timm, as a program of
``torch.export`` and, together with the clusters, as ONNX; with a model card, ready for the Hugging
Face hub. Everything is compared with the network on real images before it is there.
"""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from odc_lightning.cli.command import ALWAYS_IRRELEVANT, ignore_warnings, run_command
from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.resolve import resolve
from odc_lightning.hub import export_folder, require_onnx
from odc_lightning.inference.image_table import folder_of, load_from


def export(config: DictConfig) -> Path:
    """Write the folder.

    Returns:
        Where it is.
    """
    ignore_warnings(ALWAYS_IRRELEVANT)
    config = resolve(config)
    if config.onnx:
        require_onnx()
    model = load_from(config)
    folder = folder_of(config, model, "export")
    checks = export_folder(model, folder, onnx=config.onnx)
    for what, difference in checks.items():
        print(f"{what:<28} differs by {difference:.1e} at most")
    print(f"{folder}/")
    return folder


@hydra.main(version_base="1.3", config_path=CONFIG_DIR, config_name="export")
def main(config: DictConfig) -> None:
    """Command line entry."""
    run_command(export, config)


if __name__ == "__main__":
    main()
