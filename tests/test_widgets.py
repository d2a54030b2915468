import base64
import io

import pytest
import torch
from PIL import Image

import minidiffusion as md

widgets = pytest.importorskip("minidiffusion.course.widgets", exc_type=ImportError)

FILMS = {name: [(f"{name} at {i}", f"{name}{i}".encode()) for i in range(5)] for name in ("coat", "dress")}


def test_slider_and_menu_choose_the_frame():
    scrubber = widgets.Scrubber(FILMS, "draw")
    scrubber.slider.value = 4
    assert (scrubber.caption.value, scrubber.image.value) == ("coat at 4", b"coat4")
    scrubber.choice.value = "dress"
    assert (scrubber.caption.value, scrubber.image.value) == ("dress at 4", b"dress4")
    assert scrubber.slider.max == 4


def test_the_still_image_is_a_frame_on_the_way():
    scrubber = widgets.Scrubber(FILMS, "draw")
    bundle = scrubber._repr_mimebundle_()
    assert bundle["image/png"] == base64.b64encode(b"coat1").decode()
    assert bundle["text/plain"] == "A slider; coat at 1"
    assert "application/vnd.jupyter.widget-view+json" in bundle


@pytest.mark.parametrize("films", [{}, {"a": []}, {"a": FILMS["coat"], "b": FILMS["dress"][:3]}])
def test_films_must_have_the_same_number_of_frames(films):
    with pytest.raises(ValueError, match="films must have the same number of frames"):
        widgets.Scrubber(films, "draw")


def test_a_live_picture_follows_its_controls():
    live = widgets.Live(lambda seed, data: (f"{data} {seed}", f"{seed}{data}".encode()), seed=(0, 9), data=["a", "b"])
    live.controls["seed"].value = 7
    live.controls["data"].value = "b"
    assert (live.caption.value, live.image.value) == ("b 7", b"7b")
    bundle = live._repr_mimebundle_()
    assert bundle["image/png"] == base64.b64encode(b"7b").decode() and bundle["text/plain"] == "A slider; b 7"


def test_a_live_picture_is_drawn_again_when_asked():
    pad = widgets.SketchPad(28)
    live = widgets.Live(lambda seed: (pad.drawn, b"x"), seed=(0, 9))
    pad.observe(live.redraw, "drawn")
    pad.drawn = "data:image/png;base64,"
    assert live.caption.value == "data:image/png;base64,"


def test_a_live_picture_needs_no_caption():
    assert widgets.Live(lambda eta: bytes([int(eta)]), eta=(0.0, 8.0, 1.0)).image.value == bytes([4])


def test_the_pad_is_black_before_a_stroke_and_gives_the_drawing_after():
    pad = widgets.SketchPad(28)
    assert torch.equal(pad.picture, -torch.ones(1, 1, 28, 28))
    assert pad._repr_mimebundle_()[0]["text/plain"] == "A pad to draw on, 28x28"
    drawing = Image.new("RGBA", (252, 252), "black")
    drawing.paste("white", (0, 0, 126, 252))
    file = io.BytesIO()
    drawing.save(file, "PNG")
    pad.drawn = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    assert torch.equal(pad.picture[0, 0], torch.tensor([1.0] * 14 + [-1.0] * 14).expand(28, 28))


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (3, 16, 16)])
def test_a_picture_follows_a_training(shape):
    net = md.nets.MLP() if len(shape) == 1 else md.nets.UNet(shape[0], (16, 16), (1, 1))
    denoiser, seen = md.Denoiser(net, md.schedule.cosine(), md.heads.V), []
    live = widgets.Watch(md.prior((4, *shape), denoiser.schedule), every=2)
    for step in md.fit(denoiser, torch.rand(8, *shape), 4, batch_size=4, learning_rate=0.1):
        live.show(step)
        seen.append(live.value)
    assert seen[0] == b"" and seen[1][1:4] == b"PNG" and seen[1] == seen[2] != seen[3]
