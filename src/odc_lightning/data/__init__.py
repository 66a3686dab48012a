"""Images, identified by index: sources, augmentation, order, and the Lightning data module."""

from odc_lightning.data.datamodule import LARGEST_THUMBNAIL, ImageDataModule
from odc_lightning.data.dataset import IndexedDataset
from odc_lightning.data.datasets.builtin import cifar10, cifar100, digits, fashion_mnist, stl10
from odc_lightning.data.datasets.folders import file_list, image_folder, imagenet
from odc_lightning.data.datasets.photo_patches import photo_patches
from odc_lightning.data.datasets.places import places205
from odc_lightning.data.datasets.voc import voc2007
from odc_lightning.data.sampler import EpochSampler
from odc_lightning.data.scan import scan_images
from odc_lightning.data.sources import ArraySource, FileSource, ImageSource, SubsetSource
from odc_lightning.data.subset import take_images, take_long_tail, take_share, take_subset
from odc_lightning.data.transforms import Lighting, resize_and_center_crop

__all__ = [
    "LARGEST_THUMBNAIL",
    "ArraySource",
    "EpochSampler",
    "FileSource",
    "ImageDataModule",
    "ImageSource",
    "IndexedDataset",
    "Lighting",
    "SubsetSource",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "file_list",
    "image_folder",
    "imagenet",
    "photo_patches",
    "places205",
    "resize_and_center_crop",
    "scan_images",
    "stl10",
    "take_images",
    "take_long_tail",
    "take_share",
    "take_subset",
    "voc2007",
]
