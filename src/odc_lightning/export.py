"""Export of a network: ``python -m odc_lightning.export run=RUN out=FOLDER``.

The folder has the backbone's weights under the names of torchvision or timm, the backbone as a
``torch.export`` program, the network with its clusters as ONNX, and a model card, ready for the
Hugging Face hub. The outputs are compared with the original network on real images before the
folder appears.
"""

from pathlib import Path

from omegaconf import DictConfig

from odc_lightning.cli.command import ALWAYS_IRRELEVANT, ignore_warnings, run_command
from odc_lightning.cli.hydra_command import hydra_command
from odc_lightning.config.resolve import resolve
from odc_lightning.hub import export_folder, require_onnx
from odc_lightning.inference.image_table import folder_of, load_from
from odc_lightning.utils.text import printable


def export(config: DictConfig) -> Path:
    """Export the network of ``config.run``.

    Returns:
        The folder of the export.

    Raises:
        ValueError: a setting is invalid, the run cannot be read, or an output differs from the
            original network.
    """
    ignore_warnings(ALWAYS_IRRELEVANT)
    config = resolve(config)
    if config.onnx:
        require_onnx()
    model = load_from(config)
    folder = folder_of(config, model, "export")
    checks = export_folder(model, folder, onnx=config.onnx)
    for name, difference in checks.items():
        print(f"{name:<28} differs by at most {difference:.1e}")
    print(f"{printable(folder)}/")
    return folder


@hydra_command("export")
def main(config: DictConfig) -> None:
    """Command-line entry point."""
    run_command(export, config)


if __name__ == "__main__":
    main()
