"""Mathematics of the pretext tasks, whose targets are derived from the images."""

from odc_lightning.pretext.colour import gray_of_same_lightness, srgb_to_lab
from odc_lightning.pretext.colour_bins import (
    constant_loss,
    gamut_bins,
    mean_chroma,
    rebalancing_weights,
    soft_encode,
    weighted_target,
)
from odc_lightning.pretext.permutations import maximal_hamming_permutations
from odc_lightning.pretext.rotations import four_rotations
from odc_lightning.pretext.tiles import cut_tiles, normalize_tiles, shuffle_tiles, tile_sizes

__all__ = [
    "constant_loss",
    "cut_tiles",
    "four_rotations",
    "gamut_bins",
    "gray_of_same_lightness",
    "maximal_hamming_permutations",
    "mean_chroma",
    "normalize_tiles",
    "rebalancing_weights",
    "shuffle_tiles",
    "soft_encode",
    "srgb_to_lab",
    "tile_sizes",
    "weighted_target",
]
