import pytest
import torch
from PIL import Image

from minidiffusion.course import gallery


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "gallery"


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 28, 28), (4, 3, 32, 32)])
def test_a_kept_picture_is_there(folder, shape, capsys):
    gallery.keep(torch.zeros(shape), "my boot 1")
    assert capsys.readouterr().out.startswith("Kept in your gallery: gallery")
    with Image.open(folder / "my boot 1.png") as picture:
        assert set(picture.convert("L").tobytes()) <= {127, 128, 255}


def test_a_prompt_with_a_comma_may_name_a_picture(folder):
    gallery.keep(torch.zeros(3, 8, 8), "santa claus, noto style")
    assert (folder / "santa claus, noto style.png").exists()


@pytest.mark.parametrize("name", ["", "../boot", "a/b", "x" * 81, "boot.png"])
def test_a_name_must_be_that_of_a_file(folder, name):
    with pytest.raises(ValueError, match="name must be"):
        gallery.keep(torch.zeros(3, 8, 8), name)
    assert not folder.exists()


def test_the_gallery_shows_all_pictures(capsys):
    assert gallery.show() is None and "empty" in capsys.readouterr().out
    for i in range(7):
        gallery.keep(torch.full((3, 16, 16), -1.0), f"picture {i}")
    sheet = gallery.show(columns=6, side=40)
    assert sheet.size == (240, 80)
    dark = [
        sum(value == 0 for value in sheet.crop((40 * i, 0, 40 * i + 40, 40)).convert("L").tobytes()) for i in range(6)
    ]
    assert dark == [32 * 32] * 6


def test_a_line_of_strips_needs_little_room():
    gallery.keep(torch.full((3, 8, 64), -1.0), "a strip")
    assert gallery.show(columns=6, side=72).size == (72, 16)
    gallery.keep(torch.full((3, 64, 64), -1.0), "a square")
    assert gallery.show(columns=6, side=72).size == (144, 72)
