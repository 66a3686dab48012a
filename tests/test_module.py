import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.nn.functional import cross_entropy
from torch.optim import lr_scheduler

from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import KMeansBootstrap, SamplesMemory
from odc_lightning.models import (
    AlexNet,
    ColorizationHead,
    ConvNet,
    LinearHead,
    NoNeck,
    NonLinearNeck,
    layer_features,
    stage_features,
)
from odc_lightning.module import ODCModule

C, B = 6, 8


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    return {"image": torch.randn(B, 3, 2, 2), "target": torch.arange(B) % C}


def test_the_loss_is_cross_entropy_with_the_pseudo_labels(batch: dict[str, torch.Tensor]) -> None:
    module = tiny_module(C, dropout=0.0)
    out = module.training_step(batch, 0)
    logits = module.head(module.neck(module.backbone(batch["image"])))
    torch.testing.assert_close(out["loss"], cross_entropy(logits, batch["target"]))
    assert out["loss"].requires_grad


def test_weights_of_mean_one_give_torchs_weighted_mean(batch: dict[str, torch.Tensor]) -> None:
    module = tiny_module(C, dropout=0.0)
    of_class = torch.rand(C) + 0.1
    weight = of_class[batch["target"]]
    out = module.training_step({**batch, "weight": weight / weight.mean()}, 0)
    expected = cross_entropy(module.head(out["features"]), batch["target"], weight=of_class)
    torch.testing.assert_close(out["loss"], expected)


def test_the_features_are_the_training_forwards_own_and_detached(
    batch: dict[str, torch.Tensor],
) -> None:
    module = tiny_module(C)  # with dropout: a second forward would give others
    torch.manual_seed(3)
    out = module.training_step(batch, 0)
    torch.manual_seed(3)
    torch.testing.assert_close(out["features"], module.embed(batch["image"]))
    assert not out["features"].requires_grad
    assert out["features"].shape == (B, module.dim)


def test_each_view_has_its_row_and_needs_its_label(batch: dict[str, torch.Tensor]) -> None:
    module = tiny_module(C, dropout=0.0).eval()
    images = torch.randn(B, 2, 3, 2, 2)
    out = module.training_step({"image": images, "target": torch.arange(2 * B) % C}, 0)
    torch.testing.assert_close(out["features"][5], module.embed(images[2, 1][None])[0])
    with pytest.raises(ValueError, match=r"16 rows.*8 pseudo-labels.*data\.num_views"):
        module.training_step({**batch, "image": images}, 0)


def test_every_parameter_is_in_one_group_and_the_head_has_its_own() -> None:
    module = tiny_module(C)
    optimizer = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    body, head = optimizer.param_groups
    assert {id(p) for p in head["params"]} == {id(p) for p in module.head.parameters()}
    grouped = [id(p) for group in (body, head) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in module.parameters())
    assert (body["momentum"], head["momentum"]) == (0.9, 0.0)


def test_forward_gives_the_backbones_features() -> None:
    module = tiny_module(C)
    images = torch.randn(4, 3, 2, 2)
    assert torch.equal(module(images), module.backbone(images))


def test_a_batch_without_labels_names_the_callback(batch: dict[str, torch.Tensor]) -> None:
    del batch["target"]
    with pytest.raises(ValueError, match=r"algorithm\.samples_memory"):
        tiny_module(C).training_step(batch, 0)


def test_a_dense_network_learns_only_what_its_maps_need() -> None:
    with torch.device("meta"):
        module = ODCModule(AlexNet(), NoNeck, ColorizationHead, 5, torch.optim.SGD, dense=True)
        module.embed(torch.zeros(1, 3, 224, 224)).sum().backward()
    for name, parameter in module.backbone.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
    assert not any(
        p.requires_grad for p in module.backbone.get_submodule("classifier").parameters()
    )


def test_a_target_may_be_a_function_of_the_features(batch: dict[str, torch.Tensor]) -> None:
    module = tiny_module(C, dropout=0.0)
    expected = module.training_step(batch, 0)["loss"]
    seen: list[torch.Tensor] = []

    def labels(features: torch.Tensor) -> torch.Tensor:
        seen.append(features)
        return batch["target"]

    with_function: dict[str, Any] = {**batch, "target": labels}
    found = module.training_step(with_function, 0)
    torch.testing.assert_close(found["loss"], expected)
    assert torch.equal(seen[0], found["features"])
    assert not seen[0].requires_grad


def test_a_target_is_computed_in_full_precision(batch: dict[str, torch.Tensor]) -> None:
    """The memory is fp32; autocast would round the product with the centroids."""
    module = tiny_module(C, dropout=0.0)
    seen: list[torch.Tensor] = []

    def labels(features: torch.Tensor) -> torch.Tensor:
        seen.append(features.float() @ features.float().T)
        return batch["target"]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = module.training_step({**batch, "target": labels}, 0)["features"].float()
        assert torch.is_autocast_enabled("cpu")
    assert seen[0].dtype == torch.float32
    assert torch.equal(seen[0], features @ features.T)


def test_a_bootstrap_leaves_the_compiled_graphs_of_the_training_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its short last batch would make their sizes symbolic, and its mode would compile others."""
    graphs: list[Any] = []
    real = torch.compile

    def counted(graph: Any, inputs: list[Any]) -> Any:
        graphs.append(inputs)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda model, **_: real(model, backend=counted))
    torch.compiler.reset()
    module = tiny_module(C)
    module.compile_network = True
    data = TinyData(36, [list(range(16)), list(range(16, 32))])  # extraction: 16, 16 and 4 images
    callbacks = [SamplesMemory(), KMeansBootstrap(training_views=True)]
    tiny_trainer(callbacks, max_epochs=2).fit(module, datamodule=data)
    assert len(graphs) == 2  # backbone and neck
    assert not any(isinstance(each, torch.SymInt) for inputs in graphs for each in inputs)
    torch.compiler.reset()


def test_a_compiled_network_is_the_same_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def network(compile: bool) -> ODCModule:
        torch.manual_seed(0)
        return ODCModule(
            ConvNet(width=4),
            lambda in_features: NonLinearNeck(in_features, 16, 8, dropout=0.0),
            LinearHead,
            C,
            lambda groups: torch.optim.SGD(groups, lr=0.1),
            compile=compile,
        )

    calls: list[Any] = []
    real = torch.compile

    def without_compiler(model: Any, **settings: Any) -> Any:
        calls.append(model)
        return real(model, backend="aot_eager", **settings)

    monkeypatch.setattr(torch, "compile", without_compiler)
    eager, compiled = network(False), network(True)
    names = list(compiled.state_dict())
    for module in (eager, compiled):
        module.setup("validate")
        module.setup("fit")
    assert len(calls) == 2  # backbone and neck
    assert list(compiled.state_dict()) == names
    images = torch.randn(B, 3, 16, 16)
    for mode in (True, False):
        eager.train(mode), compiled.train(mode)
        torch.testing.assert_close(compiled.embed(images), eager.embed(images))
    # What looks inside sees the same, after a compiled call too.
    inside: list[Callable[..., Any]] = [
        partial(stage_features, names=["conv2", "pooled"]),
        partial(layer_features, path="conv3"),
    ]
    for look in inside:
        torch.testing.assert_close(look(compiled.backbone, images), look(eager.backbone, images))
    for module in (eager, compiled):
        module.train()
        module.embed(images).square().sum().backward()
    for one, other in zip(eager.parameters(), compiled.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad)


SCHEDULES: dict[str, Callable[[int], Any]] = {
    "constant": lambda length: partial(lr_scheduler.ConstantLR, factor=1.0),
    "cosine": lambda length: partial(lr_scheduler.CosineAnnealingLR, T_max=length, eta_min=1e-4),
    "step": lambda length: partial(lr_scheduler.MultiStepLR, milestones=[length // 2], gamma=0.1),
    "warm-up": lambda length: partial(lr_scheduler.LinearLR, start_factor=0.1, total_iters=length),
    "one cycle": lambda length: partial(
        lr_scheduler.OneCycleLR, max_lr=0.2, total_steps=length + 1, cycle_momentum=True
    ),
}


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("former", ["cosine", "one cycle"])
def test_a_resumed_run_has_the_schedule_of_its_whole_length(
    kind: str, former: str, tmp_path: Path
) -> None:
    """Bit for bit that of a run which had the new settings from the start."""

    def fit(epochs: int, name: str, lr: float, file: str | None = None) -> tuple[list[Any], Any]:
        module = tiny_module(C, lr=lr)
        module._scheduler = SCHEDULES[name](epochs)
        seen: list[Any] = []
        module.on_train_epoch_start = lambda: seen.append(  # type: ignore[method-assign]
            [{**group, "params": None} for group in trainer.optimizers[0].param_groups]
        )
        trainer = tiny_trainer([Targets()], max_epochs=epochs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.fit(module, TinyData(8, 8), ckpt_path=file)
        trainer.save_checkpoint(tmp_path / f"{epochs}.ckpt")
        return seen, torch.load(tmp_path / f"{epochs}.ckpt", weights_only=True)["lr_schedulers"]

    whole, schedule = fit(6, kind, 0.05)
    fit(4, former, 0.1)
    rest, resumed = fit(6, kind, 0.05, str(tmp_path / "4.ckpt"))
    assert rest == whole[4:]
    assert resumed == schedule


class Targets(pl.Callback):
    """Any labels."""

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, _: int) -> None:
        batch["target"] = batch["index"] % C


def test_the_checkpoint_of_another_network_is_refused() -> None:
    state = tiny_module(C + 1).state_dict()
    with pytest.raises(ValueError, match=r"head\.bias is \(7,\), expected \(6,\); resume with the"):
        tiny_module(C).on_load_checkpoint({"state_dict": state})


def test_frozen_statistics_stay_and_are_used_in_training() -> None:
    def built(frozen: bool) -> ODCModule:
        torch.manual_seed(0)
        optimizer = partial(torch.optim.SGD, lr=0.1)
        return ODCModule(ConvNet(4), NoNeck, LinearHead, C, optimizer, frozen_statistics=frozen)

    images = torch.randn(B, 3, 16, 16)
    module, usual = built(frozen=True), built(frozen=False)
    before = {name: value.clone() for name, value in module.backbone.named_buffers()}
    features = module.embed(images)
    assert all(torch.equal(value, before[name]) for name, value in module.backbone.named_buffers())
    torch.testing.assert_close(features, usual.eval().embed(images))
    assert not torch.allclose(features, usual.train().embed(images))
    assert module.training
    assert module.head.training
