"""The values of the paper, each with its section, for `tests/config/test_paper_values.py`.

A row is (source, options, values). A value's path is a config key, or a part of what the config
builds (`helpers.as_built`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

Row = tuple[str, Iterable[str], Mapping[str, Any]]

ODC = ("experiment=odc_resnet50", "experiment=odc_alexnet", "experiment=finetune_odc")
DC = ("experiment=dc_resnet50", "experiment=finetune_dc")
AUTHORS = ("experiment=odc_resnet50_openselfsup",)
PRETEXTS = tuple(f"experiment={task}_resnet50" for task in ("rotation", "jigsaw", "colorization"))
INTERVALS = ("sweep=update_interval_imagenet", "sweep=update_interval")
SIZES = ("sweep=cluster_size_imagenet", "sweep=cluster_size")
TAILS = ("sweep=long_tail_imagenet", "sweep=long_tail")
STUDIES = (INTERVALS[0], SIZES[0])
LONG_TAIL = TAILS[:1]
AS_FIGURE_4 = ("sweep=feature_momentum_imagenet", "sweep=num_clusters_imagenet")
RESNET_LINEAR = ("benchmark=imagenet_linear", "benchmark=places205_linear")
ALEXNET_LINEAR = tuple(f"{benchmark}_alexnet" for benchmark in RESNET_LINEAR)
LINEAR = (*RESNET_LINEAR, *ALEXNET_LINEAR)
VOC = ("benchmark=voc07",)
SEMI = ("benchmark=imagenet_semi_supervised",)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TO_TENSOR = ("PILToTensor", "ToDtype", "Normalize")


def colours(views: str) -> dict[str, Any]:
    """The end of every augmentation: colours in [0, 1], then ImageNet's mean and deviation."""
    return {
        f"{views}.ToDtype.scale": True,
        f"{views}.Normalize.mean": MEAN,
        f"{views}.Normalize.std": STD,
    }


def crop_and_flip(views: str, *others: str) -> dict[str, Any]:
    """A random crop and a flip, before other steps."""
    return {
        views: ("RandomResizedCrop", "RandomHorizontalFlip", *others, *TO_TENSOR),
        f"{views}.RandomResizedCrop.size": (224, 224),
        f"{views}.RandomResizedCrop.scale": (0.08, 1.0),
        f"{views}.RandomHorizontalFlip.p": 0.5,
        **colours(views),
    }


def center_crop(views: str) -> dict[str, Any]:
    """The evaluation view."""
    return {
        views: ("Resize", "CenterCrop", *TO_TENSOR),
        f"{views}.Resize.size": (256,),
        f"{views}.CenterCrop.size": (224, 224),
        **colours(views),
    }


COSTS = (1.0, 10.0, 100.0, *(0.5**power for power in range(4, 20)))

TRAINING: list[Row] = [
    ("Sec. 3.1, Eq. 2 and 3", ODC, {"callbacks.SamplesMemory.settings.assignment": "l2"}),
    ("Sec. 3.1, Eq. 2", ODC, {"callbacks.SamplesMemory.settings.renormalize": False}),
    ("Sec. 3.1, centroids", ODC, {"callbacks.CentroidRefresh.clusters": "involved"}),
    ("Sec. 3.1, Fig. 2", ODC, {"data.num_views": 1}),
    ("Sec. 3.2, w_c", (*ODC, *AUTHORS), {"weight_of_a_quarter": 2.0}),
    (
        "Sec. 3.2, small clusters",
        ODC,
        {
            "callbacks.SmallClusters.repeat": True,
            "callbacks.SmallClusters.moved_half": "random",
        },
    ),
    (
        "Sec. 3.2, head layer",
        (*ODC, *AUTHORS),
        {"network.neck.out_features": 256, "network.head.in_features": 256},
    ),
    (
        "Sec. 3.4, data pre-processing",
        (*ODC, *AUTHORS, *DC, *STUDIES, *LONG_TAIL),
        {
            **crop_and_flip("views", "RandomRotation", "ColorJitter", "RandomGrayscale"),
            "data.name": "imagenet",
            "views.RandomRotation.degrees": (-2.0, 2.0),
            "views.ColorJitter.brightness": (0.6, 1.4),
            "views.ColorJitter.contrast": (0.6, 1.4),
            "views.ColorJitter.saturation": (0.0, 2.0),
            "views.ColorJitter.hue": (-0.5, 0.5),
            "views.RandomGrayscale.p": 0.2,
        },
    ),
    ("Sec. 3.4, no Sobel filter", (*ODC, *AUTHORS), {"convolutions.channels": 3}),
    (
        "Sec. 3.4",
        ("experiment=odc_resnet50", *AUTHORS, *DC),
        {"network.backbone.name": "resnet50", "convolutions.kernel": (7, 7)},
    ),
    (
        "Sec. 3.4, AlexNet",
        ("experiment=odc_alexnet", "experiment=dc_alexnet"),
        {
            "network.backbone.name": "alexnet",
            "network.backbone.num_features": 4096,
            "convolutions.response_normalization": False,
            "convolutions.batch_normalization": True,
        },
    ),
    ("Sec. 3.4", (*ODC, *AUTHORS, *DC), {"data.batch_size": 512}),
    ("Sec. 3.4", ("experiment=odc_alexnet",), {"rates": ((400, 0.04), (40, 0.004))}),
    ("Sec. 3.4", ("experiment=odc_resnet50",), {"rates": ((400, 0.06), (40, 0.006))}),
    ("Sec. 3.4", (*ODC, *AUTHORS, *DC), {"network.head.num_clusters": 10_000}),
    ("Sec. 3.4", ("algorithm=odc", "algorithm=deepcluster"), {"algorithm.num_clusters": 10_000}),
    ("Sec. 3.4, defaults", ("algorithm=odc",), {"rates": ((400, 0.06), (40, 0.006))}),
    ("Sec. 3.4, defaults", ("data=imagenet",), {"data.batch_size": 512, "data.image_size": 224}),
    ("Sec. 3.4", (*ODC, *AUTHORS), {"callbacks.SamplesMemory.settings.momentum": 0.5}),
    ("Sec. 3.4", ODC, {"callbacks.SmallClusters.threshold": 20}),
    ("Sec. 3.4", (*ODC, *AUTHORS), {"callbacks.CentroidRefresh.every_n_steps": 10}),
    ("Sec. 4.1, DC", ("experiment=dc_resnet50",), {"rates": ((400, 0.1), (40, 0.01))}),
    (
        "Sec. 4.1, DC",
        ("experiment=dc_resnet50",),
        {"convolutions.channels": 2},
    ),
    ("Sec. 3.2, DC samples uniformly", DC, {"callbacks.OfflineClustering.reweight": False}),
    ("Table 4, at the rate of Sec. 3.4", ("experiment=finetune_odc",), {"rates": ((120, 0.06),)}),
    ("Table 4, at the rate of Sec. 4.1", ("experiment=finetune_dc",), {"rates": ((120, 0.1),)}),
    (
        "Table 4",
        ("experiment=finetune_odc", "experiment=finetune_dc"),
        {"network.backbone.name": "resnet50"},
    ),
]

EVALUATION: list[Row] = [
    (
        "Sec. 4.1, ImageNet and Places205",
        LINEAR,
        {
            "published": True,
            "protocols": ("linear",),
            "probe_rates": ((30, 0.01), (30, 0.001), (30, 1e-4), (10, 1e-5)),
            "protocol.linear.optimizer.momentum": 0.9,
            "protocols.linear.batch_size": 256,
            "protocols.linear.chosen": ("conv1", "conv2", "conv3", "conv4", "conv5"),
            **center_crop("eval_views"),
        },
    ),
    ("Sec. 4.1", LINEAR[::2], {"data.name": "imagenet"}),
    (
        "Sec. 4.1",
        LINEAR[1::2],
        {"data.name": "places205", "data.train.split": "train", "data.val.split": "val"},
    ),
    (
        "Sec. 4.1, settings of Goyal et al. for ResNet-50",
        RESNET_LINEAR,
        {
            "protocol.linear.optimizer.weight_decay": 1e-4,
            "protocol.linear.optimizer.nesterov": True,
            **crop_and_flip("probe_views"),
            "probe_views": (
                *("RandomResizedCrop", "RandomHorizontalFlip", "ColorJitter"),
                *("PILToTensor", "ToDtype", "Lighting", "Normalize"),
            ),
            "probe_views.ColorJitter.brightness": (0.6, 1.4),
            "probe_views.ColorJitter.contrast": (0.6, 1.4),
            "probe_views.ColorJitter.saturation": (0.6, 1.4),
            "probe_views.ColorJitter.hue": None,
            "probe_views.Lighting.std": 0.1,
        },
    ),
    (
        "Sec. 4.1, settings of Goyal et al. for AlexNet",
        ALEXNET_LINEAR,
        {
            "protocol.linear.optimizer.weight_decay": 5e-4,
            "protocol.linear.optimizer.nesterov": False,
            "probe_views": (
                *("Resize", "CenterCrop", "RandomHorizontalFlip"),
                *("PILToTensor", "ToDtype", "Lighting", "Normalize"),
            ),
            "probe_views.Resize.size": (256,),
            "probe_views.RandomHorizontalFlip.p": 0.5,
            "probe_views.Lighting.std": 0.1,
            **colours("probe_views"),
        },
    ),
    ("Table 1", LINEAR[:1], {"benchmark_of.alexnet": "imagenet_linear_alexnet"}),
    ("Table 1", LINEAR[1:2], {"benchmark_of.alexnet": "places205_linear_alexnet"}),
    ("Table 2", LINEAR[2:3], {"benchmark_of.resnet50": "imagenet_linear"}),
    ("Table 2", LINEAR[3:], {"benchmark_of.resnet50": "places205_linear"}),
    (
        "Sec. 4.1, VOC2007",
        VOC,
        {
            "published": True,
            "protocols": ("svm", "low_shot"),
            "data.name": "voc07",
            "data.train.split": "trainval",
            "data.val.split": "test",
        },
    ),
    (
        "Sec. 4.1, settings of Goyal et al.",
        VOC,
        {
            "protocols.svm.costs": COSTS,
            "protocols.svm.folds": 3,
            "protocols.low_shot.costs": COSTS,
            "protocols.low_shot.shots": (1, 2, 4, 8, 16, 32, 64, 96),
        },
    ),
    ("Sec. 4.1, five independent samples", VOC, {"protocols.low_shot.draws": 5}),
    ("Table 3, the best of all layers", VOC, {"protocols.svm.chosen": None}),
    ("Table 3, best layers", VOC, {"protocols.low_shot.chosen": ("conv4", "conv5")}),
]

STUDY: list[Row] = [
    ("Fig. 4, Sec. 4.2", STUDIES, {"images.number": 90_000, "images.classes": 300}),
    ("Fig. 6, Sec. 4.2", LONG_TAIL, {"images.classes": 300}),
    ("Fig. 6, Sec. 4.2", TAILS, {"swept.data.subset.imbalance": (1, 2, 4, 8, 16, 32, 64)}),
    (
        "Fig. 4, left, around Sec. 3.4's 10",
        INTERVALS,
        {"swept.algorithm.centroid_refresh.every_n_steps": (1, 5, 10, 20, 50, 100)},
    ),
    (
        "Fig. 4, right, with Sec. 3.4's 20 and Sec. 4.2's 160",
        SIZES,
        {"swept.algorithm.small_clusters.threshold": (5, 10, 20, 40, 80, 160)},
    ),
    (
        "Sec. 3.4, ten times the classes",
        ("sweep=update_interval_imagenet", *LONG_TAIL),
        {"algorithm.num_clusters": 3000},
    ),
    (
        "Figures 1b, 4 and 6",
        (*STUDIES, *LONG_TAIL, *AS_FIGURE_4, "sweep=odc_dc_imagenet"),
        {"rates": ((400, 0.06), (40, 0.006)), "network.backbone.name": "resnet50"},
    ),
    ("as Fig. 4", AS_FIGURE_4, {"images.number": 90_000, "images.classes": 300}),
    ("as Fig. 4", AS_FIGURE_4[:1], {"algorithm.num_clusters": 3000}),
    ("Fig. 1b", ("sweep=odc_dc_imagenet",), {"swept.experiment": ("odc_resnet50", "dc_resnet50")}),
]
