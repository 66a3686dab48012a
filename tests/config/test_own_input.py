"""The input of a network in every view of a config."""

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from conftest import compose_command
from odc_lightning.config.own_input import OwnInput, input_of_view, with_input, with_input_of_run
from odc_lightning.hub.preprocessing import describe

MEAN, STD = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
GIVEN = (f"data.mean={MEAN}", f"data.std={STD}", "data.interpolation=bicubic")
DATA = ("data=image_folder", "data.root=x")


@pytest.mark.parametrize("view", ["imagenet_eval", "small_images_eval", "voc07_eval"])
def test_the_views_have_it(view: str) -> None:
    config = compose_command("train", *DATA, f"augmentation@data.eval_transform={view}", *GIVEN)
    config = with_input(config)
    transform = instantiate(config.data.eval_transform)
    described = describe(transform) if view != "voc07_eval" else {}
    if described:
        assert (described["image_mean"], described["image_std"]) == (MEAN, STD)
        assert described["resample"] == 3  # bicubic
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8))
    by_pillow = image.resize((256, 256), Image.Resampling.BICUBIC)
    if view == "imagenet_eval":
        by_pillow = by_pillow.crop((16, 16, 240, 240))
    else:
        by_pillow = (image if view != "voc07_eval" else by_pillow).resize((224, 224), 3)
    pixels = torch.from_numpy(np.array(by_pillow)).permute(2, 0, 1) / 255
    expected = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(transform(image), expected)
    plain = OmegaConf.to_container(config.data.eval_transform, resolve=True)
    assert input_of_view(plain, 224) == OwnInput(224, MEAN, STD, "bicubic")


def test_training_views_and_protocols_have_it_too() -> None:
    config = with_input(compose_command("train", "experiment=odc_small", *DATA, *GIVEN))
    steps = config.data.train_transform.transforms
    assert (steps[0].interpolation, steps[0].scale) == (3, config.data.crop)
    assert steps[-1].mean == MEAN
    training = instantiate(config.data.train_transform)
    assert training(Image.new("RGB", (300, 300))).shape == (3, 224, 224)
    evaluation = with_input(compose_command("evaluate", "checkpoint=x", *DATA, *GIVEN))
    views = evaluation.protocol.semi_supervised.augmentation.transforms
    assert (views[0].interpolation, views[-1].std) == (3, STD)


def test_other_images_are_seen_as_the_run_saw_its_own() -> None:
    config = compose_command("evaluate", "checkpoint=x", "data=digits", "data.std=[1,1,1]")
    of_run = OmegaConf.create({"mean": MEAN, "std": STD, "interpolation": "bicubic"})
    steps = with_input_of_run(config, of_run).data.eval_transform.transforms
    assert (steps[0].interpolation, steps[-1].mean, steps[-1].std) == (3, MEAN, [1, 1, 1])
    of_version_1 = OmegaConf.create({"image_size": 16})
    plain = compose_command("evaluate", "checkpoint=x", "data=digits")
    assert with_input_of_run(plain, of_version_1) == plain == with_input_of_run(plain, None)


def test_nothing_changes_without_it() -> None:
    config = compose_command("train", *DATA)
    assert with_input(config) is config
    only = with_input(compose_command("train", *DATA, "data.interpolation=bicubic"))
    assert only.data.eval_transform.transforms[-1].mean == [0.485, 0.456, 0.406]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("data.mean=0.5", r"data\.mean=0\.5; expected three numbers, for red"),
        ("data.std=[1,1,0]", r"data\.std=\[1, 1, 0\]; expected three numbers above 0"),
        ("data.mean=[a,b,c]", "expected three numbers"),
        ("data.interpolation=best", r"data\.interpolation=best; expected nearest, lanczos"),
    ],
)
def test_wrong_values(given: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        with_input(compose_command("train", *DATA, given))
