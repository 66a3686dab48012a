"""Backbone, neck and clusters as one ONNX file, checked by onnxruntime."""

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from odc_lightning.hub.compare import check_close
from odc_lightning.hub.torch_export import batch_dim
from odc_lightning.utils.text import first_line

_NEEDED = ("onnx", "onnxruntime", "onnxscript")
# Scores that differ by less than this may be ordered differently in other programs.
UNDECIDED = 1e-3


def require_onnx() -> None:
    """Check that the packages for ONNX are installed.

    Raises:
        ValueError: if one cannot be imported.
    """
    for name in _NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ValueError(
                f"ONNX needs {', '.join(_NEEDED)}, and {name} cannot be imported ({error}); run "
                "pip install odc-lightning[export], or export without ONNX: onnx=false"
            ) from error


@torch.no_grad()
def write_onnx(path: Path, network: nn.Module, images: Tensor, names: tuple[str, ...]) -> float:
    """Export the network, and compare onnxruntime's outputs with torch's.

    Args:
        path: the file to write.
        network: from images to one tensor per name. The last one may be clusters (B,); the scores
            (B, C) that decide them then precede it.
        images: (B, 3, S, S), with B of 2 or more.
        names: names of the outputs.

    Returns:
        The largest difference.

    Raises:
        ValueError: if the network cannot be exported, or an output differs.
    """
    import onnxruntime

    try:
        with _quiet():
            torch.onnx.export(
                network,
                (images[:2],),
                path,
                dynamo=True,
                dynamic_shapes={"images": batch_dim()},
                input_names=["images"],
                output_names=list(names),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # torch.export and onnxscript raise errors of many types
        raise ValueError(
            f"this network cannot be written as ONNX: {first_line(error)}; export without ONNX: "
            "onnx=false"
        ) from error
    _forget_sources(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    difference = 0.0
    for batch in (images, images[:1]):
        result = network(batch)
        expected = dict(
            zip(names, (result,) if isinstance(result, Tensor) else result, strict=True)
        )
        outputs = session.run(list(names), {"images": batch.numpy()})
        for name, array in zip(names, map(torch.from_numpy, outputs), strict=True):
            if expected[name].is_floating_point():
                what = f"onnxruntime, for {name},"
                difference = max(difference, check_close(what, array, expected[name]))
            else:
                _check_clusters(array, expected[name], expected["scores"])
    return difference


def _forget_sources(path: Path) -> None:
    """Remove the exporter's notes on each operation, which contain file paths of this machine."""
    import onnx

    content = onnx.load(path)
    graph = content.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(content, path)


def _check_clusters(found: Tensor, expected: Tensor, scores: Tensor) -> None:
    """Check that the clusters (B,) are equal, except where the best scores (B, C) nearly tie.

    Raises:
        ValueError: if they differ.
    """
    best = scores.topk(2, dim=1).values
    wrong = (found != expected) & (best[:, 0] - best[:, 1] > UNDECIDED)
    if bool(wrong.any()):
        raise ValueError(
            f"onnxruntime assigns {int(wrong.sum())} of {len(found)} images to other clusters than "
            "the network does; nothing was exported"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters' log lines and warnings, which are meant for their developers."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
