"""A synthetic data set of colour images: letters on pieces of photographs, nothing to download.

``python -m scripts.small_data.letters FOLDER`` draws ten capital letters in the scalable fonts of
matplotlib, in any colour, size, position and slant, on pieces of scikit-learn's two photographs.
The class (the letter) is not what varies most (colours and background).
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images

LETTERS = "ABEHKMRSTX"
SIZE = 32  # pixels
FONTS = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "DejaVuSansMono-Bold", "cmr10", "cmss10")


def draw(letter: str, photos: list[np.ndarray], rng: np.random.Generator) -> Image.Image:
    """Draw a letter in a random font on a random piece of a photograph, 32 x 32 colour pixels."""
    photo = photos[rng.integers(len(photos))]
    top, left = (rng.integers(side - SIZE + 1) for side in photo.shape[:2])
    picture = Image.fromarray(photo[top : top + SIZE, left : left + SIZE])
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    font = ImageFont.truetype(folder / f"{rng.choice(FONTS)}.ttf", int(rng.integers(18, 29)))
    stencil = Image.new("L", picture.size)
    place = tuple(SIZE / 2 + rng.uniform(-4, 4, size=2))
    ImageDraw.Draw(stencil).text(place, letter, fill=255, font=font, anchor="mm")
    stencil = stencil.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR)
    picture.paste(contrasting(np.asarray(picture).mean(axis=(0, 1)), rng), mask=stencil)
    return picture


def contrasting(background: np.ndarray, rng: np.random.Generator) -> tuple[int, int, int]:
    """A random colour that differs from the mean of the background by at least 100 levels."""
    while True:
        colour = rng.integers(256, size=3)
        if np.linalg.norm(colour - background) >= 100:
            red, green, blue = colour.tolist()
            return red, green, blue


def make_letters(folder: Path, images_per_letter: int = 600, seed: int = 0) -> None:
    """Write ``FOLDER/A/0000.png`` and so on, one sub-folder per letter."""
    photos = load_sample_images().images
    rng = np.random.default_rng(seed)
    for letter in LETTERS:
        (folder / letter).mkdir(parents=True, exist_ok=True)
        for number in range(images_per_letter):
            draw(letter, photos, rng).save(folder / letter / f"{number:04}.png")


def main() -> None:
    """Command-line entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="output folder; created if missing")
    parser.add_argument("--images-per-letter", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    make_letters(given.folder, given.images_per_letter, given.seed)


if __name__ == "__main__":
    main()
