import io

import numpy as np
from PIL import Image

from odc_lightning.reporting.cluster_page.duplicates import differences, near_duplicates, signature


def picture(seed: int, size: tuple[int, int] = (96, 96)) -> Image.Image:
    rng = np.random.default_rng(seed)
    blocks = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return blocks.resize(size, Image.Resampling.BICUBIC)


def saved_again(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def test_another_size_and_a_poor_copy_are_near_duplicates_and_other_images_are_not() -> None:
    images = [picture(seed) for seed in range(20)]
    images += [
        picture(3).resize((50, 50)),
        saved_again(picture(3), 20),
        saved_again(picture(7), 40),
    ]
    signatures = np.stack([signature(image) for image in images])
    assert [group.tolist() for group in near_duplicates(signatures)] == [[3, 20, 21], [7, 22]]
    assert near_duplicates(signatures[:1]) == []


def test_in_a_large_set_nearly_all_pairs_are_found() -> None:
    """The set is in several cells; with one cell the search is exact."""
    rng = np.random.default_rng(0)
    signatures = rng.integers(0, 256, (4000, 8, 8), dtype=np.uint8)
    signatures = signatures.repeat(2, axis=1).repeat(2, axis=2).reshape(4000, -1)
    signatures[3000:] = np.clip(signatures[:1000].astype(int) + rng.integers(-3, 4), 0, 255)
    groups = near_duplicates(signatures)
    assert all(len(group) == 2 and group[1] - group[0] == 3000 for group in groups)
    assert len(groups) > 990


def test_the_threshold_is_a_mean_difference() -> None:
    signatures = np.zeros((2, 256), dtype=np.uint8)
    signatures[1, :64] = 20
    pairs = np.array([[0, 1]])
    assert differences(signatures, pairs).tolist() == [5.0]
    assert differences(signatures, pairs[:, ::-1]).tolist() == [5.0]  # uint8 does not wrap round
    assert near_duplicates(signatures, threshold=4.9) == []
    assert [group.tolist() for group in near_duplicates(signatures, threshold=5.0)] == [[0, 1]]


def test_a_chain_whose_ends_differ_is_no_group() -> None:
    shades = np.array([10, 12, 14, 16, 18, 20, 200])
    signatures = np.repeat(shades[:, None], 256, axis=1).astype(np.uint8)
    groups = near_duplicates(signatures, threshold=4.0)
    assert [group.tolist() for group in groups] == [[0, 1, 2], [3, 4, 5]]
    # many copies of one picture are one group, though each is compared with a few alone
    many = np.repeat(signatures[[0, 6]], 40, axis=0)
    assert [len(group) for group in near_duplicates(many)] == [40, 40]
