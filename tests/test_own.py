"""A folder of one's own pictures: every mode, size and format becomes the picture that it shows, or is named."""

import numpy as np
import pytest
import torch
from PIL import Image

import minidiffusion as md
from minidiffusion.cli import main, train
from minidiffusion.training import checkpoint

RED, WHITE = (200, 30, 10), (255, 255, 255)


def picture(mode, size=(40, 40)):
    """A red picture in any mode, grey where the mode has no colour."""
    grey = Image.new("L", size, 100)
    if mode in ("I;16", "I"):
        return Image.fromarray(np.full(size[::-1], 100 * 257, np.uint16 if mode == "I;16" else np.int32))
    if mode == "F":
        return Image.fromarray(np.full(size[::-1], 100 / 255, np.float32))
    if mode in ("L", "LA", "1"):
        return grey.convert(mode)
    return Image.new("RGB", size, RED).convert(mode)


FORMATS = {
    "RGB.png": "RGB",
    "RGBA.png": "RGBA",
    "L.png": "L",
    "LA.png": "LA",
    "P.gif": "P",
    "I16.png": "I;16",
    "I.tiff": "I",
    "F.tiff": "F",
    "RGB.webp": "RGB",
    "CMYK.tiff": "CMYK",
    "RGB.bmp": "RGB",
    "upper.JPEG": "RGB",
}


@pytest.mark.parametrize(("name", "mode"), FORMATS.items())
@pytest.mark.parametrize("size", [(40, 40), (97, 31), (8, 8), (200, 300)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_any_mode_keeps_its_colour(tmp_path, name, mode, size, channels):
    picture(mode, size).save(tmp_path / name)
    images, labels, classes, captions = md.datasets.folder(tmp_path, 16, channels)
    assert images.shape == (1, channels, 16, 16) and images.dtype == torch.uint8
    expected = torch.tensor(RED if mode in ("RGB", "RGBA", "P", "CMYK") else (100, 100, 100))
    if channels == 1:  # ITU-R 601-2, as Pillow documents convert("L")
        expected = (expected * torch.tensor([299, 587, 114])).sum(0, keepdim=True) / 1000
    assert (images[0].float().mean((1, 2)) - expected).abs().max() < 6  # a palette and a JPEG are not exact
    assert labels.tolist() == [0] and classes == () and captions == [""]


def test_what_is_transparent_is_white(tmp_path):
    clear = Image.new("RGBA", (20, 20), (*RED, 0))
    clear.paste((*RED, 255), (0, 0, 10, 20))
    clear.save(tmp_path / "half.png")
    images = md.datasets.folder(tmp_path, 20).images[0]
    assert images[:, 5, 2].tolist() == list(RED) and images[:, 5, 17].tolist() == list(WHITE)


def test_the_middle_is_cut_out_and_a_cameras_note_is_followed(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = RED
    Image.fromarray(wide).save(tmp_path / "a.png")
    turned = Image.fromarray(np.concatenate([np.full((10, 20, 3), 255, np.uint8), np.zeros((10, 20, 3), np.uint8)]))
    exif = turned.getexif()
    exif[0x0112] = 6  # turn it a quarter to the right
    turned.save(tmp_path / "b.png", exif=exif)
    middle, right = md.datasets.folder(tmp_path, 10, 3).images
    assert (middle == torch.tensor(RED, dtype=torch.uint8)[:, None, None]).all()
    assert right[0, 5, 1] == 0 and right[0, 5, 8] == 255  # what was below is on the left


def test_labels_are_sub_folders_and_captions_are_text_files(tmp_path):
    for name in ("cats/b", "cats/deep/a", "dogs/c", "dogs/.hidden", "__pycache__/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture("RGB").save(tmp_path / f"{name}.png")
    (tmp_path / "cats/b.txt").write_text(" a red cat\n")
    (tmp_path / "dogs/c.txt").write_bytes(b"caf\xff")
    (tmp_path / "dogs/notes.md").write_text("no picture")
    images, labels, classes, captions = md.datasets.folder(tmp_path)
    assert images.shape == (3, 3, 32, 32) and classes == ("cats", "dogs") and labels.tolist() == [0, 0, 1]
    assert captions == ["a red cat", "", "caf\ufffd"]
    (step,) = md.fit(
        md.Denoiser(md.nets.UNet(3, (16, 16), (1, 1), classes=2), md.schedule.cosine(), md.heads.V),
        (images, labels),
        1,
        batch_size=2,
    )
    assert step.number == 1 and step.ema.shape == (3, 32, 32)


def test_files_that_cannot_be_read_are_named_and_left_out(tmp_path):
    picture("RGB").save(tmp_path / "good.png")
    whole = (tmp_path / "good.png").read_bytes()
    for i, bad in enumerate((b"", b"no picture", whole[:30], whole[: len(whole) - 25], b"GIF89a")):
        (tmp_path / f"bad{i}.png").write_bytes(bad)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "missing.png")
    with pytest.warns(UserWarning, match=r"left out, because they cannot be read: bad0.png \(.*bad1.png .*bad2.png"):
        assert len(md.datasets.folder(tmp_path).images) == 1


def test_links_to_nowhere_and_pictures_that_are_not_numbers_are_named_and_left_out(tmp_path):
    picture("RGB").save(tmp_path / "good.png")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "missing.png")
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(tmp_path / "nan.tiff")
    with pytest.warns(UserWarning, match=r"cannot be read: nan.tiff \(.*nowhere.png \("):
        assert len(md.datasets.folder(tmp_path).images) == 1


def test_dark_pictures_of_16_bits_stay_dark(tmp_path):
    for i, grey in enumerate((0, 250, 260, 65535)):
        Image.fromarray(np.full((8, 8), grey, np.uint16)).save(tmp_path / f"{i}.png")
    assert md.datasets.folder(tmp_path, 8, 1).images[:, 0, 4, 4].tolist() == [0, 1, 1, 255]


@pytest.mark.parametrize("make", [lambda path: path / "missing", lambda path: path, lambda path: path / "file.png"])
def test_a_folder_without_pictures_is_named(tmp_path, make):
    if make(tmp_path).name == "file.png":
        picture("RGB").save(tmp_path / "file.png")
    with pytest.raises(ValueError, match="path must be a folder with pictures, and"):
        md.datasets.folder(make(tmp_path))


@pytest.mark.parametrize(
    ("name", "bad"), [("size", 3), ("size", 32.0), ("size", 2000), ("channels", 2), ("channels", 4)]
)
def test_bad_sizes_are_named(unchecked, tmp_path, name, bad):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        md.datasets.folder(tmp_path, **{name: bad})


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(("Cats/a", "Cats/b", "dogs/c")):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        picture("RGB", (40 + i, 50)).save(tmp_path / "mine" / f"{name}.jpg")
    return tmp_path / "mine"


def test_a_folder_is_trained_on_resumed_and_sampled_by_the_name_of_a_class(own, capsys):
    command = ["train", "--data", "mine", "--size", "64", "--out", "run"]
    assert main([*command, "--steps", "2"]) == 0
    about = checkpoint.read_header("run/model.safetensors")["about"]
    assert about["data"].startswith("3 pictures in mine, sha256 ") and about["classes"] == ["Cats", "dogs"]
    assert about["shape"] == [3, 64, 64]
    sample = ["sample", "--checkpoint", "run/model.safetensors", "--steps", "1", "--count", "2"]
    for label in ("Cats", "dogs", "1"):
        assert main([*sample, "--label", label]) == 0
    assert Image.open("samples.png").size == (4 * (2 * 64 + 2), 4 * 64)
    capsys.readouterr()
    assert main([*sample, "--label", "birds"]) == 2
    assert "--label must be one of Cats, dogs, got 'birds'" in capsys.readouterr().err

    (own / "bad.png").write_bytes(b"no picture")
    picture("RGB").save(own / "dogs" / "new.png")
    assert main([*command, "--steps", "3", "--resume"]) == 2
    left_out, line = capsys.readouterr().err.splitlines()
    assert left_out == "minidiffusion: left out, because they cannot be read: bad.png (UnidentifiedImageError)"
    assert "--resume can only continue the same training" in line


def test_a_folder_that_is_interrupted_says_how_to_go_on(own, monkeypatch, capsys):
    monkeypatch.setattr(train, "any_process", lambda pressed: True)
    assert main(["train", "--data", "mine", "--out", "run", "--steps", "5"]) == 130
    assert "minidiffusion train --data mine --steps 5 --out run --resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["moons", "--data", "mine"], "RECIPE must be left out where --data is given, got 'moons'"),
        (["moons", "--size", "64"], "--size must be given with --data, got 64"),
        (["--data", "mine", "--size", "48"], "must be 32, 64 or 128, got '48'"),
        (["--data", "nowhere"], "path must be a folder with pictures, and there is none at nowhere"),
    ],
)
def test_bad_options_of_a_folder_are_named(own, capsys, words, message):
    assert main(["train", *words]) == 2
    assert message in capsys.readouterr().err
