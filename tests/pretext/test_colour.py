"""Lab against published values, and gray that keeps the lightness."""

import torch

from odc_lightning.pretext import gray_of_same_lightness, mean_chroma, srgb_to_lab

# sRGB and its Lab under D65, as colour calculators give it.
KNOWN = (
    ((1, 0, 0), (53.24, 80.09, 67.20)),
    ((0, 1, 0), (87.73, -86.18, 83.18)),
    ((0, 0, 1), (32.30, 79.19, -107.86)),
    ((1, 1, 0), (97.14, -21.55, 94.48)),
    ((1, 1, 1), (100, 0, 0)),
    ((0, 0, 0), (0, 0, 0)),
    ((119 / 255,) * 3, (50.03, 0, 0)),
    ((2 / 255, 1 / 255, 1 / 255), (0.33, 0.26, 0.09)),  # where the curves are straight
)


def test_known_colours() -> None:
    rgb = torch.tensor([colour for colour, _ in KNOWN])
    lab = srgb_to_lab(rgb.T.unsqueeze(-1)).squeeze(-1).T  # (3, H, 1) and back
    torch.testing.assert_close(lab, torch.tensor([known for _, known in KNOWN]), atol=0.06, rtol=0)


def test_a_batch_is_as_its_images() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 5, 3, 4, 6)
    lab = srgb_to_lab(images)
    assert lab.shape == images.shape
    torch.testing.assert_close(lab[1, 3], srgb_to_lab(images[1, 3]), atol=1e-4, rtol=0)


def test_gray_keeps_the_lightness_and_has_no_colour() -> None:
    torch.manual_seed(0)
    images = torch.rand(4, 3, 5, 7)
    gray = gray_of_same_lightness(images)
    assert gray.shape == images.shape
    assert (gray == gray[:, :1]).all()
    before, after = srgb_to_lab(images), srgb_to_lab(gray)
    torch.testing.assert_close(after[:, 0], before[:, 0], atol=1e-3, rtol=0)
    assert after[:, 1:].abs().max() < 1e-3
    torch.testing.assert_close(gray_of_same_lightness(gray), gray, atol=1e-5, rtol=0)


def test_chroma() -> None:
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert abs(mean_chroma(red) - 104.55) < 0.05
    assert mean_chroma(torch.full((2, 3, 2, 2), 0.3)) < 1e-3
