"""Files of pictures: what is decoded, into what, and what is refused (G6 to G9)."""

import base64
import io
import random

import numpy as np
import pytest
from PIL import Image

from parley.workers.pictures import Refused, decode
from tests.builders_vision import png_of

BOX = (2048, 768)
RED, BLUE = (200, 30, 40), (20, 40, 190)


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    held = io.BytesIO()
    picture.save(held, form, **options)
    return base64.b64encode(held.getvalue())


def halves(mode: str = "RGB", size: tuple[int, int] = (64, 32)) -> Image.Image:
    """The left half red, the right half blue."""
    picture = Image.new("RGB", size, RED)
    picture.paste(BLUE, (size[0] // 2, 0, *size))
    return picture.convert(mode)


def read(content: bytes, *, most_pixels: int = 20_000_000, box: tuple[int, int] = BOX) -> Image.Image:
    return decode(content, most_pixels=most_pixels, box=box)


def refusal(content: bytes, **bounds: object) -> str:
    with pytest.raises(Refused) as refused:
        read(content, **bounds)
    return str(refused.value)


def is_near(picture: Image.Image, at: tuple[int, int], colour: tuple[int, int, int], within: int = 24) -> bool:
    return bool(np.abs(np.array(picture)[at[1], at[0]].astype(int) - colour).max() <= within)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_four_formats_are_read(form: str) -> None:
    picture = read(encoded(halves(), form))
    assert (picture.mode, picture.size) == ("RGB", (64, 32))
    assert is_near(picture, (8, 16), RED)
    assert is_near(picture, (56, 16), BLUE)


@pytest.mark.parametrize(
    ("mode", "form"),
    [("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("1", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("L", "JPEG"),
     ("RGBA", "WEBP"), ("P", "GIF")],
)  # fmt: skip
def test_every_kind_of_pixel_becomes_red_green_and_blue(mode: str, form: str) -> None:
    picture = read(encoded(halves(mode), form))
    assert (picture.mode, picture.size) == ("RGB", (64, 32))
    left, right = picture.getpixel((8, 16)), picture.getpixel((56, 16))
    if mode in {"L", "LA", "1"}:
        assert left[0] == left[1] == left[2]
    else:
        assert is_near(picture, (8, 16), RED, 48)
        assert left != right


def test_sixteen_bits_are_scaled_and_not_cut() -> None:
    grey = Image.fromarray(np.full((16, 16), 0x8000, dtype=np.uint16))
    assert read(encoded(grey, "PNG")).getpixel((3, 3)) == (128, 128, 128)


def test_what_shows_through_is_seen_on_white() -> None:
    glass = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    assert read(encoded(glass, "PNG")).getpixel((3, 3)) == (255, 255, 255)


def test_a_photo_that_was_taken_sideways_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read(encoded(halves(), "JPEG", exif=exif))
    assert picture.size == (32, 64)
    assert is_near(picture, (16, 8), RED)
    assert is_near(picture, (16, 56), BLUE)


@pytest.mark.parametrize(
    ("size", "box", "becomes"),
    [((4096, 1024), (2048, 768), (2048, 512)), ((1000, 3000), (2048, 768), (683, 2048)), ((900, 900), (2048, 768), (768, 768)),
     ((600, 500), (2048, 768), (600, 500)), ((1024, 1024), (512, 512), (512, 512)), ((40, 50), (512, 512), (40, 50))],
)  # fmt: skip
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_large_pictures_are_shrunk_and_none_is_enlarged(
    size: tuple[int, int], box: tuple[int, int], becomes: tuple[int, int], form: str
) -> None:
    picture = read(encoded(halves(size=size), form), box=box)
    assert picture.size == becomes
    assert is_near(picture, (2, becomes[1] // 2), RED)
    assert is_near(picture, (becomes[0] - 2, becomes[1] // 2), BLUE)


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1), (7, 9), (3, 200)])
def test_tiny_and_thin_pictures_get_sides_that_a_projector_can_divide(size: tuple[int, int]) -> None:
    width, height = read(encoded(Image.new("RGB", size, RED), "PNG")).size
    assert min(width, height) >= 8
    assert max(width, height) <= 64 * min(width, height)


def test_of_a_moving_picture_the_first_frame_is_seen() -> None:
    frames = [Image.new("RGB", (16, 16), (0, 10 * n, 0)) for n in range(20)]
    for form in ("GIF", "WEBP", "PNG"):
        content = encoded(Image.new("RGB", (16, 16), RED), form, save_all=True, append_images=frames, duration=10)
        assert is_near(read(content), (8, 8), RED)


def test_bombs_are_refused_by_their_header() -> None:
    bomb = png_of(13_300, 13_300)
    assert len(bomb) < 40_000
    assert refusal(bomb) == "pixels"
    assert refusal(png_of(16_400, 2)) == "pixels"
    assert refusal(png_of(50_000, 50_000 // 2000)) == "pixels"
    assert refusal(png_of(100, 100), most_pixels=9_999) == "pixels"
    assert read(png_of(100, 100), most_pixels=10_000).size == (100, 100)
    for form in ("JPEG", "GIF", "WEBP"):
        assert refusal(encoded(Image.new("L", (5_000, 4_001)), form)) == "pixels"


def test_a_jpeg_that_says_it_is_as_large_as_can_be_is_refused() -> None:
    content = bytearray(base64.b64decode(encoded(halves(), "JPEG")))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = b"\xff\xdc\xff\xdc"
    assert refusal(base64.b64encode(content)) == "pixels"


@pytest.mark.parametrize(
    "form", ["BMP", "TIFF", "PPM", "ICO", "PCX", "TGA", "EPS", "PDF", "SGI", "DDS", "MPO", "JPEG2000"]
)
def test_no_other_format_is_read_whatever_it_is_called(form: str) -> None:
    content = encoded(halves(), form)
    if form == "MPO":
        # Photos in pairs: a JPEG by its beginning, and read as that.
        assert read(content).size == (64, 32)
    else:
        assert refusal(content) == "format"


@pytest.mark.parametrize(
    "content",
    [b"SIMPLE  =                    T" + b" " * 2850, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"8BPS\x00\x01" + bytes(40),
     b"%PDF-1.4\n", b"\xff\xff\x00\x40\x00\x40" + bytes(200), b"\x00\x00\x00\x00\x00\x00\x00\x04" + bytes(248),
     b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"", b"\x00", b"plain text", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x00\x00\x00\x00WEBP"],
    ids=["FITS", "EPS", "PSD", "PDF", "GD", "MCIDAS", "SVG", "nothing", "a null", "text", "a PNG's head", "a GIF's head", "a WebP's head"],
)  # fmt: skip
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    assert refusal(base64.b64encode(content)) == "format"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_breaks_off_is_refused(form: str) -> None:
    noise = Image.frombytes("RGB", (64, 64), random.Random(1).randbytes(64 * 64 * 3))
    content = base64.b64decode(encoded(noise, form))
    assert refusal(base64.b64encode(content[: len(content) // 2])) == "format"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_mutated_files_are_read_or_refused_and_nothing_else(form: str) -> None:
    chance = random.Random(form)
    content = base64.b64decode(encoded(halves(), form))
    for _ in range(300):
        changed = bytearray(content)
        for _ in range(chance.randint(1, 8)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            assert read(base64.b64encode(changed), most_pixels=200_000).mode == "RGB"
        except Refused:
            continue


@pytest.mark.parametrize("text", [b"&&&&", b"a", b"=", b"\xff\xfe", "é".encode()])
def test_what_is_no_base64_is_refused_as_such(text: bytes) -> None:
    assert refusal(text) == "base64"


def test_broken_lines_in_base64_are_joined() -> None:
    content = base64.encodebytes(base64.b64decode(encoded(halves(), "PNG")))
    assert b"\n" in content
    assert read(content).size == (64, 32)
