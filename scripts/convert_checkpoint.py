"""Convert a checkpoint of another project to this one's names, and print how each key was mapped.

``python scripts/convert_checkpoint.py FILE OUT --model resnet50 [key=value ...]``
"""

import argparse
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from hydra.utils import instantiate
from safetensors.torch import save_file
from torch import Tensor

from odc_lightning.checkpoints import Conversion, checkpoint_file, load_pretrained
from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.resolve import resolve
from odc_lightning.utils.whole_files import whole_file

ENDINGS = (".safetensors", ".pt", ".pth")


def convert_file(
    file: Path, out: Path, overrides: list[str], allow: list[str], trusted: bool
) -> Conversion:
    """Write the backbone's weights to ``out``, completely or not at all.

    Args:
        file: a checkpoint of any known format.
        out: a new file; its ending chooses the format, see `ENDINGS`.
        overrides: of the config: ``model=...`` and keys below ``model``.
        allow: names or patterns of weights that may differ, besides ``model.pretrained_allow``.
        trusted: whether the file may be unpickled, as ``model.pretrained_trusted``.

    Raises:
        ValueError: ``out`` cannot be written, or the checkpoint does not fit the network.
    """
    if out.suffix not in ENDINGS:
        raise ValueError(f"OUT={out}; expected a name that ends with {', '.join(ENDINGS)}")
    if out.exists():
        raise ValueError(f"OUT={out} exists already; choose another name, or remove it")
    if not out.parent.is_dir():
        raise ValueError(f"OUT={out}: there is no folder {out.parent}; make it first")
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        model = resolve(compose("train", overrides).model, "model")
    backbone = instantiate(model.backbone)
    conversion = load_pretrained(
        backbone,
        checkpoint_file(file, "FILE"),
        allow=[*model.pretrained_allow, *allow],
        trusted=trusted or model.pretrained_trusted,
    )
    write({name: value.contiguous() for name, value in backbone.state_dict().items()}, out)
    return conversion


def write(weights: dict[str, Tensor], out: Path) -> None:
    """Write the weights, completely or not at all."""
    with whole_file(out) as unfinished:
        if out.suffix == ".safetensors":
            save_file(weights, unfinished, metadata={"format": "pt"})
        else:
            torch.save(weights, unfinished)


def main() -> None:
    """Convert the checkpoint and print the table of all keys."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the checkpoint, or a run's folder")
    parser.add_argument(
        "out", type=Path, metavar="OUT", help=f"a new file that ends with {', '.join(ENDINGS)}"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings of the model, as in a training"
    )
    parser.add_argument("--model", required=True, help="the network, as model=... in a training")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PATTERN",
        help="a weight, or a pattern such as classifier.*, that may be missing, unknown or of "
        "another shape; can be given more than once",
    )
    parser.add_argument(
        "--trusted", action="store_true", help="unpickle the file, which can run any code"
    )
    arguments = parser.parse_intermixed_args()
    overrides = [f"model={arguments.model}", *arguments.overrides]
    try:
        conversion = convert_file(
            arguments.file, arguments.out, overrides, arguments.allow, arguments.trusted
        )
    except (ValueError, HydraException) as error:
        parser.error(str(error))
    print(conversion.table())
    print(f"\n{arguments.out} {conversion.summary}")


if __name__ == "__main__":
    main()
