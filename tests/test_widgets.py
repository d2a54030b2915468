import base64

import pytest

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
