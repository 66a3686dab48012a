"""The mathematics of pretext tasks: targets that come from the images themselves."""

from odc_lightning.pretext.permutations import maximal_hamming_permutations
from odc_lightning.pretext.rotations import four_rotations
from odc_lightning.pretext.tiles import cut_tiles, normalize_tiles, shuffle_tiles, tile_sizes

__all__ = [
    "cut_tiles",
    "four_rotations",
    "maximal_hamming_permutations",
    "normalize_tiles",
    "shuffle_tiles",
    "tile_sizes",
]
