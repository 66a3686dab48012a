"""Values that the paper does not give, from the code that is followed; and deliberate differences.

For `tests/config/test_paper_values.py`, in the form of `helpers.paper_values`.
"""

from typing import Any, NamedTuple

from helpers.paper_values import (
    ALEXNET_LINEAR,
    AUTHORS,
    DC,
    LINEAR,
    LONG_TAIL,
    ODC,
    PRETEXTS,
    SEMI,
    TO_TENSOR,
    VOC,
    Row,
    center_crop,
    colours,
    crop_and_flip,
)

SILENT: list[Row] = [
    (
        "authors' code",
        (*ODC, *AUTHORS, *DC),
        {
            "optimizer.momentum": 0.9,
            "optimizer.weight_decay": 1e-5,
            "head_optimizer.momentum": 0.0,
            "views.RandomResizedCrop.ratio": (3 / 4, 4 / 3),
            **center_crop("eval_views"),
        },
    ),
    (
        "authors' code",
        (*ODC, *AUTHORS),
        {
            "callbacks.KMeansBootstrap.iterations": 20,
            "network.neck.fc0.out_features": 512,
            "network.neck.bn0.momentum": 0.001,
            "network.neck.bn0.affine": False,
            "network.neck.dropout.p": 0.5,
        },
    ),
    (
        "authors' code, where it differs from the paper",
        AUTHORS,
        {
            "rates": ((400, 0.06), (40, 0.024)),
            "data.sampling_with_replacement": True,
            "trainer.sync_batchnorm": True,
            "callbacks.SamplesMemory.settings.renormalize": True,
            "callbacks.SamplesMemory.settings.assignment": "dot",
            "callbacks.CentroidRefresh.clusters": "all",
            "callbacks.SmallClusters.threshold": 19,
            "callbacks.SmallClusters.repeat": False,
            "callbacks.SmallClusters.moved_half": "first",
        },
    ),
    (
        "authors' code, DC",
        DC,
        {
            "callbacks.OfflineClustering.pca_dim": 256,
            "callbacks.OfflineClustering.iterations": 20,
            "callbacks.OfflineClustering.layer": None,
        },
    ),
    (
        "DeepCluster's code, whose AlexNet is in Table 1",
        ("experiment=dc_alexnet",),
        {
            **crop_and_flip("views"),
            "data.name": "imagenet",
            "rates": ((200, 0.05),),
            "data.batch_size": 256,
            "optimizer.momentum": 0.9,
            "optimizer.weight_decay": 1e-5,
            "head_optimizer.momentum": 0.0,
            "convolutions.channels": 2,
            "network.head.num_clusters": 10_000,
            "network.neck.out_features": 4096,
            "callbacks.OfflineClustering.pca_dim": 256,
            "callbacks.OfflineClustering.reweight": False,
            "callbacks.OfflineClustering.layer": "classifier.4",  # fc7 before its ReLU
        },
    ),
    (
        "VISSL",
        PRETEXTS,
        {
            "data.name": "imagenet",
            "rates": ((30, 0.1), (30, 0.01), (30, 0.001), (10, 1e-4), (5, 1e-5)),
            "data.batch_size": 256,
            "optimizer.momentum": 0.9,
            "optimizer.weight_decay": 1e-4,
            "head_optimizer.momentum": 0.9,
            "convolutions.channels": 3,
            "network.backbone.name": "resnet50",
        },
    ),
    (
        "VISSL; colours are the targets of colorization",
        ("experiment=rotation_resnet50", "experiment=colorization_resnet50"),
        crop_and_flip("views"),
    ),
    ("Gidaris et al.", ("experiment=rotation_resnet50",), {"network.head.num_clusters": 4}),
    (
        "sRGB on a grid of 10",
        ("experiment=colorization_resnet50",),
        {"network.head.num_clusters": 261, "network.dense": True},
    ),
    ("VISSL", ("algorithm=jigsaw",), {"algorithm.num_clusters": 2000}),
    ("SwAV's code", ("algorithm=deepcluster_v2",), {"algorithm.num_clusters": 3000}),
    (
        "VISSL",
        ("experiment=jigsaw_resnet50",),
        {
            "network.head.num_clusters": 2000,
            "network.neck.tile.0.out_features": 1000,
            "views": (
                "Resize",
                "RandomHorizontalFlip",
                "RandomCrop",
                "RandomGrayscale",
                *TO_TENSOR,
            ),
            "views.Resize.size": (256,),
            "views.RandomCrop.size": (255, 255),
            "views.RandomHorizontalFlip.p": 0.5,
            "views.RandomGrayscale.p": 0.66,
            **colours("views"),
        },
    ),
    (
        "SwAV's code, deepclusterv2_400ep_2x224",
        ("experiment=dcv2_resnet50",),
        {
            "data.name": "imagenet",
            "trainer.sync_batchnorm": True,
            "network.backbone.name": "resnet50",
            "network.num_clusters": 3000,
            "network.head.num_heads": 3,
            "network.head.temperature": 0.1,
            "network.head.contrast": 0.0,
            "network.neck.fc0.out_features": 2048,
            "network.neck.out_features": 128,
            "callbacks.PrototypeClustering.iterations": 10,
            "data.num_views": 2,
            "data.batch_size": 4096,
            "data.image_size": 224,
            "trainer.max_epochs": 400,
            "optimizer.weight_decay": 1e-6,
            "scheduler.T_max": 400,
            **crop_and_flip(
                *("views", "RandomApply", "ColorJitter"),
                *("RandomGrayscale", "RandomApply2", "GaussianBlur"),
            ),
            "views.RandomApply.p": 0.8,
            "views.RandomApply2.p": 0.5,
            "views.ColorJitter.brightness": (0.2, 1.8),
            "views.ColorJitter.contrast": (0.2, 1.8),
            "views.ColorJitter.saturation": (0.2, 1.8),
            "views.ColorJitter.hue": (-0.2, 0.2),
            "views.RandomGrayscale.p": 0.2,
            "views.GaussianBlur.sigma": (0.1, 2.0),
        },
    ),
    (
        "authors' code",
        VOC,
        {
            "eval_views": ("Resize", "Resize2", *TO_TENSOR),
            "eval_views.Resize.size": (256,),
            "eval_views.Resize2.size": (224, 224),
            **colours("eval_views"),
        },
    ),
    (
        "authors' model zoo; the paper has no semi-supervised benchmark",
        SEMI,
        {
            **crop_and_flip("tuning_views"),
            "published": True,
            "protocols": ("semi_supervised",),
            **center_crop("eval_views"),
            "data.name": "imagenet",
            "protocols.semi_supervised.shares": (0.01, 0.1),
            "protocols.semi_supervised.head_lr_multipliers": (100, 10),
            "protocols.semi_supervised.max_epochs": 20,
            "protocols.semi_supervised.batch_size": 256,
            "protocol.semi_supervised.optimizer.lr": 0.1,
            "protocol.semi_supervised.optimizer.momentum": 0.9,
            "protocol.semi_supervised.optimizer.weight_decay": 5e-4,
            "protocol.semi_supervised.scheduler.milestones": (12, 16),
            "protocol.semi_supervised.scheduler.gamma": 0.2,
        },
    ),
    ("authors' code", (*LINEAR, *SEMI), {"trainer.sync_batchnorm": True}),
]


class Different(NamedTuple):
    """A value that differs from its source, and why."""

    source: str
    option: str
    path: str
    theirs: Any
    ours: Any
    reason: str


DIFFERENT = [
    Different(
        *("Fig. 6, Sec. 4.2", *LONG_TAIL, "images.number", 100_000, 90_000),
        "at a ratio of 64, the largest of 300 classes would need 1,403 images, and has 1,300",
    ),
    Different(
        *("Sec. 4.1, DC", "experiment=finetune_dc", "convolutions.channels", 2, 3),
        "most pretrained networks of Table 4 were trained on colours, without a Sobel filter",
    ),
    Different(
        *("authors' code, DC", "experiment=dc_resnet50", "trainer.max_epochs", 200, 440),
        "the paper has the epochs of ODC",
    ),
    Different(
        *("Goyal et al., AlexNet", ALEXNET_LINEAR[0], "probe_views.CenterCrop.size"),
        *((227, 227), (224, 224), "Sec. 3.4 trains and pools at 224"),
    ),
    Different(
        *("Goyal et al., AlexNet", ALEXNET_LINEAR[1], "probe_views.CenterCrop.size"),
        *((227, 227), (224, 224), "Sec. 3.4 trains and pools at 224"),
    ),
    Different(
        *("Goyal et al., low-shot", *VOC, "protocols.low_shot.choose_cost"),
        *("test_set", "cross_validation", "their choice sees the test images"),
    ),
    Different(
        *("SwAV's code", "experiment=dcv2_resnet50", "optimizer.lr", 4.8, 0.48),
        "theirs is for LARS; this is ODC's rate for SGD, in proportion to the batch",
    ),
    Different(
        *("SwAV's code", "experiment=dcv2_resnet50", "scheduler.eta_min", 0.0048, 0.00048),
        "a thousandth of the rate, as theirs",
    ),
]
