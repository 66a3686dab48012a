"""What a config may name that came with somebody's checkpoint."""

import inspect
import re
from pathlib import Path

import pytest
import timm
from omegaconf import OmegaConf

from conftest import Compose, composer
from odc_lightning.checkpoints import refuse_unknown_targets, trust
from odc_lightning.evaluate import evaluate
from odc_lightning.train import train

HOSTILE = [
    {"_target_": "os.system", "command": "touch here"},
    {"_target_": "builtins.eval", "_args_": ["1"]},
    {"_target_": "odc_lightning.data.datamodule.pl.Trainer"},
    {"_target_": "odc_lightning.models.backbone.torch.load"},
    {"_target_": "odc_lightning.checkpoints.read_checkpoint", "trusted": True},
    {"_target_": "odc_lightning.data.digits.__globals__.get"},
    {"_target_": "odc_lightning.data_of_mine.load"},
    {"_target_": "odc_lightning.models.nothing"},
    {"_target_": "torchvision.transforms.v2.Lambda.__init__.__globals__"},
    {"_target_": "torch.hub.load", "_partial_": True},
    {"_target_": "hydra.utils.get_object", "path": "os.system"},
    {"_target_": "hydra.utils.get_object", "path": "torch.load"},
    {"_target_": "hydra.utils.call"},
    {"_target_": "odc_lightning.models.TimmBackbone", "checkpoint_path": "some.pth"},
    {"_target_": "odc_lightning.models.TimmBackbone", "pretrained_cfg": {"url": "somewhere"}},
    *(
        {"_target_": "odc_lightning.models.TimmBackbone", "name": name}
        for name in ("local-dir:/a", "hf-hub:a/b", "hf_hub:a", "../a", "/a", "a/b", "a:b", "", None)
    ),
    *(
        {"_target_": "odc_lightning.models.TimmBackbone", "name": "resnet18", **others}
        for others in (
            {"pretrained": True},
            {"pretrained": "yes"},
            {"pretrained_cfg_overlay": {"file": "a"}},
            {"pretrained_model_args": {}},
            {"cache_dir": "/a"},
            {"model_cfg": {}},
            {"act_layer": "/etc/passwd"},
            {"norm_layer": {"_target_": "torch.nn.LayerNorm"}},
            {"_args_": ["local-dir:/a"]},
            {"_recursive_": False},
        )
    ),
    {"_target_": "torchvision.transforms.v2.Lambda", "lambd": None},
    {"_target_": "torchvision.transforms.v2.functional.to_pil_image"},
    {"_target_": "torchvision.transforms.v2.Resize", "size": 10**6},
    {"_target_": "torchvision.transforms.v2.Compose", "_args_": [[]]},
    {"_target_": "odc_lightning.data.datasets.builtin._fetch"},
    {"_target_": ["os.system"]},
    {"_target_": "odc_lightning.models.ConvNet", "width": "\\${model.neck}"},
    {"_target_": "odc_lightning.models.ConvNet", "width": "${oc.env:HOME}"},
]


@pytest.mark.parametrize("node", HOSTILE, ids=str)
@pytest.mark.parametrize("deep", [False, True])
def test_what_is_not_known_is_refused(node: dict[str, object], deep: bool) -> None:
    config = {"_target_": "odc_lightning.models.ConvNet", "parts": [{"x": node}]} if deep else node
    said = f"would run {re.escape(str(node['_target_']))}|would look up"
    said += "|would give (odc_lightning|torchvision)"
    with pytest.raises(ValueError, match=f"some/run ({said})"):
        refuse_unknown_targets(OmegaConf.create(config), "some/run")


def test_timms_own_names_are_known() -> None:
    names = [*timm.list_models(), *timm.list_models(pretrained=True)]
    assert [name for name in names if not trust.TIMM_NAME.fullmatch(name)] == []
    node = {"_target_": "odc_lightning.models.TimmBackbone", "name": names[0], "pretrained": False}
    refuse_unknown_targets(OmegaConf.create({**node, "img_size": 64, "act_layer": "relu"}), "")


def test_only_timm_takes_arguments_that_it_passes_on() -> None:
    """Every other target names its arguments, and none is a path or an address but the images'."""
    names: set[str] = set()
    for found in trust._known_objects():
        parameters = inspect.signature(found).parameters
        if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
            names.add(found.__name__)
    assert names == {"TimmBackbone", "Backbone", "Head"}  # the last two are abstract


DATA = ["digits", "image_folder", "imagenet", "voc2007", "stl10", "cifar10", "places205"]


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("model", ["convnet", "resnet50", "alexnet", "timm"])
def test_the_projects_own_configs_are_known(compose_config: Compose, data: str, model: str) -> None:
    config = compose_config(f"data={data}", f"model={model}", "data.root=x")
    OmegaConf.resolve(config)
    refuse_unknown_targets(config.data, "")
    refuse_unknown_targets(config.model, "")


def test_a_hostile_run_is_not_built_unless_it_is_trusted(
    compose_evaluation: Compose, tmp_path: Path
) -> None:
    """The whole command, on a run whose config would write a file."""
    folder, mark = tmp_path / "training", tmp_path / "mark"
    short = ("trainer.max_epochs=1", "model.backbone.width=4", "data.subset={num_images: 300}")
    few = ("algorithm.num_clusters=10", "callbacks.label_scores.knn=false")
    train(composer(folder, "train")("experiment=odc_digits", *short, *few))
    written = folder / "run" / "config.yaml"
    config = OmegaConf.load(written)
    hostile = {
        "_target_": "pathlib.Path.write_text",
        "_args_": [{"_target_": "pathlib.Path", "_args_": [str(mark)]}, "was here"],
    }
    # Escaped, it is nothing to look up until everything else has been looked up.
    written.write_text(
        OmegaConf.to_yaml(OmegaConf.merge(config, {"model": {"neck": hostile}})).replace(
            "width: 4", r"width: '\${model.neck}'"
        )
    )
    hidden = (f"checkpoint={folder / 'run'}", "protocol=clustering", "trainer.accelerator=cpu")
    with pytest.raises(ValueError, match="would look up"):
        evaluate(compose_evaluation(*hidden, run="hidden"))
    assert not mark.exists()
    config.data.train_transform = hostile
    OmegaConf.save(config, written)
    command = (f"checkpoint={folder / 'run'}", "protocol=clustering", "trainer.accelerator=cpu")
    with pytest.raises(ValueError, match=r"would run pathlib\.Path\.write_text.*trusted=true"):
        evaluate(compose_evaluation(*command))
    assert not mark.exists()
    # What the command itself names is not the run's.
    assert evaluate(compose_evaluation(*command, "data=digits")).scores
    evaluate(compose_evaluation(*command, "checkpoint_trusted=true"))
    assert mark.exists()
