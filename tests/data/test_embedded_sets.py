import hashlib
from importlib.resources import files

import numpy as np
import pytest
import torch

from minidiffusion import data
from minidiffusion.data.emoji import TONES

FILES = files("minidiffusion.data") / "files"

# The sha256 of each file as it was built from the public releases that files/NOTICE names.
SHA256 = {
    "fashion_mnist_6k.npz": "81843add15810a9e02360846553801a9c603805d68005a805af4a424af9c9a0c",
    "emoji64/captions.npz": "5baca003b041b4aa9e93ccdde6139d2aebda3ddb14fbdf21ecdfc7f35c6c6320",
    "emoji64/fluent-flat.webp": "2f0f02923d6b1e6388719a2af53b613023440430a4beb213414947c2d684dd37",
    "emoji64/fluent.webp": "928995c8d1f7ac9adfd6215930a5f0ced7a321139b53484f26796c541cb37a24",
    "emoji64/noto.webp": "605423db269bad495de917e970094b2fb1f080c17aeac1643ac6a42dd2d023d1",
    "emoji64/twemoji.webp": "96dee9b9fd82e33e2dd85033c5038d591e929fb2e42ace0b86b89f7d12b0de2c",
    "dino.csv": "7df2348758fcf9437369e100a2d7442d0b73b25e832973e148a0caa09498c830",
    "LICENSES/Apache-2.0.txt": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "LICENSES/CC-BY-4.0.txt": "d557539df68e771cc1eedcc91d13f70fca930e508d11eedcafa4b15db49e3744",
    "LICENSES/MIT-dino-data-morph.txt": "f9ec59734570c9e4d54ffeaced6abd8ff7f72d3a579c65419562547de0a37e7b",
    "LICENSES/MIT-emojibase.txt": "5c4e1582dcae9429a5d00ec0a64185c3a711f9757b2308fdf275d90b120f6149",
    "LICENSES/MIT-fashion-mnist.txt": "193c9c47fa3dc7e614dcd5f4ea5315d69c0a542b698b64dc34ac5bc4b09d5c3a",
    "LICENSES/MIT-fluent-emoji.txt": "4616038f78a09be7566c67fc0fee727ca82d2e861c3ff2aaccb83bd17a647151",
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("an embedded set asked for a file from elsewhere")

    monkeypatch.setattr(data, "fetch", refuse)
    monkeypatch.setenv("MINIDIFFUSION_DATA", "no/such/folder")


@pytest.mark.parametrize("file", SHA256)
def test_files_are_the_published_ones(file):
    assert hashlib.sha256((FILES / file).read_bytes()).hexdigest() == SHA256[file]


def test_every_embedded_file_is_credited():
    notice = (FILES / "NOTICE").read_text()
    for file in SHA256:
        assert file in notice


def test_there_is_no_file_that_this_test_does_not_know():
    assert {str(path.relative_to(FILES)) for path in FILES.rglob("*") if path.is_file()} == {*SHA256, "NOTICE"}


@pytest.mark.parametrize("split, count", [("train", 5000), ("test", 1000)])
def test_fashion_mnist_6k(split, count):
    images, labels = data.load("fashion_mnist_6k", split)
    assert images.shape == (count, 1, 28, 28) and images.dtype == torch.uint8
    assert labels.dtype == torch.int64
    assert labels.bincount().tolist() == [count // 10] * 10
    assert images.min() == 0 and images.max() == 255
    # What a human knows about the classes: trousers stand, sneakers lie.
    height = (images > 50).any(dim=3).sum(dim=2).squeeze(1).float()
    width = (images > 50).any(dim=2).sum(dim=2).squeeze(1).float()
    name = data.class_names("fashion_mnist_6k")
    taller = [(height - width)[labels == name.index(kind)].mean() for kind in ("trouser", "sneaker")]
    assert taller[0] > 8 and taller[1] < -8


def test_fashion_class_names_are_those_of_the_file():
    with (FILES / "fashion_mnist_6k.npz").open("rb") as stream:
        assert data.class_names("fashion_mnist_6k") == tuple(np.load(stream)["class_names"].tolist())
    assert data.class_names("fashion_mnist") == data.class_names("fashion_mnist_6k")


# Emoji

SMALL = [(name, split) for name in ("emoji64", "emoji32") for split in ("test", "unseen_tone", "unseen_style")]


@pytest.fixture(scope="module")
def emoji():
    """All splits of emoji64, and the small ones of emoji32, as (pictures, captions)."""
    return {(name, split): data.load(name, split) for name, split in (("emoji64", "train"), *SMALL)}


def pairs(captions):
    """A caption and its style tell a picture from all others."""
    return list(zip(captions, captions.style, strict=True))


def test_the_splits_of_the_emoji_have_these_sizes_for_ever(emoji):
    # Numbers measured with other versions are comparable only if these stay: 13,898 pictures are in the files
    counts = {split: len(emoji["emoji64", split][0]) for split in ("train", "test", "unseen_tone", "unseen_style")}
    assert counts == {"train": 12_377, "test": 1_521, "unseen_tone": 722, "unseen_style": 799}
    for (name, _), (images, captions) in emoji.items():
        assert images.shape == (len(captions), 3, int(name[-2:]), int(name[-2:]))
        assert images.dtype == torch.uint8 and images.is_contiguous()
        fields = captions.style, captions.group, captions.tone, captions.thing, captions.tags
        assert all(len(field) == len(captions) for field in fields)
        assert all(type(caption) is str and caption for caption in captions)


def test_no_picture_is_in_two_splits_and_all_are_in_one(emoji):
    train, test, tone, style = (
        pairs(emoji["emoji64", split][1]) for split in ("train", "test", "unseen_tone", "unseen_style")
    )
    assert len({*train, *test}) == len(train) + len(test) == 13_898
    assert sorted(test) == sorted(tone + style) and not set(tone) & set(style)


def test_a_tone_held_out_is_in_the_training_in_no_style(emoji):
    train, unseen = emoji["emoji64", "train"][1], emoji["emoji64", "unseen_tone"][1]
    assert not set(train) & set(unseen)
    assert set(unseen.thing) <= set(train.thing)  # but the thing itself is there
    assert all("skin tone" in caption or "light" in caption or "dark" in caption for caption in unseen)
    assert 0 not in unseen.tone


def test_a_thing_and_a_style_held_out_are_in_the_training_with_others(emoji):
    train, unseen = emoji["emoji64", "train"][1], emoji["emoji64", "unseen_style"][1]
    assert not set(zip(train.thing, train.style, strict=True)) & set(zip(unseen.thing, unseen.style, strict=True))
    assert set(unseen.thing) <= set(train.thing)
    for thing, style in set(zip(unseen.thing, unseen.style, strict=True)):
        # the rule, written once more: the first byte of the SHA-1 of the prompt, modulo 20
        assert hashlib.sha1(f"{thing}, {style} style".encode()).digest()[0] % 20 == 0


def test_a_caption_says_its_tone(emoji):
    captions = emoji["emoji64", "train"][1]
    for caption, thing, tone in zip(captions, captions.thing, captions.tone, strict=True):
        assert "skin tone" not in thing
        if tone < 6:  # 6 is mixed: two people with a tone each
            assert (f"{TONES[tone]} skin tone" in caption) == (tone > 0) == ("skin tone" in caption)


def test_prompts_are_captions_with_their_style(emoji):
    captions = emoji["emoji64", "unseen_tone"][1]
    assert captions.prompts()[0] == f"{captions[0]}, {captions.style[0]} style"
    assert set(captions.style) == {"noto", "fluent", "fluent-flat", "twemoji"}


@pytest.mark.parametrize("style", ["noto", "fluent", "fluent-flat", "twemoji"])
@pytest.mark.parametrize("caption, channel", [("red circle", 0), ("green circle", 1), ("blue circle", 2)])
def test_emoji_captions_belong_to_their_pictures(emoji, caption, channel, style):
    images, captions = emoji["emoji64", "train"]
    picture = images[pairs(captions).index((caption, style))].int()
    middle = picture[:, 32, 32]
    others = [middle[c] for c in range(3) if c != channel]
    assert middle[channel] > 20 + max(others)
    assert (picture[:, 0, 0] == 255).all()  # on white


@pytest.mark.parametrize("style", ["noto", "fluent", "fluent-flat", "twemoji"])
def test_darker_tones_make_darker_pictures(emoji, style):
    # all four sheets, far from their beginnings: a hand in its five tones
    images, captions = emoji["emoji64", "train"]
    known = pairs(captions)
    hands = [f"waving hand, {tone} skin tone" for tone in TONES[1:6]]
    brightness = [images[known.index((hand, style))].float().mean() for hand in hands if (hand, style) in known]
    assert len(brightness) >= 4 and brightness == sorted(brightness, reverse=True)


@pytest.mark.parametrize("split", ["test", "unseen_tone", "unseen_style"])
def test_emoji32_is_emoji64_averaged_two_by_two(emoji, split):
    (large, captions), (small, again) = emoji["emoji64", split], emoji["emoji32", split]
    assert captions == again and captions.style == again.style and captions.tags == again.tags
    mean = large.double().unflatten(3, (32, 2)).mean(4).unflatten(2, (32, 2)).mean(3)
    assert torch.equal(small, (mean + 0.5).floor().to(torch.uint8))


def test_names_in_their_order():
    assert data.names() == (
        *("fashion_mnist_6k", "emoji32", "emoji64", "fashion_mnist", "mnist", "cifar10"),
        *("moons", "swiss_roll", "checkerboard", "spiral", "gaussians", "dino"),
    )


@pytest.mark.parametrize("name", data.toys.TOYS)
def test_toys_load_as_tensors_with_two_seeds(name):
    points, labels = data.load(name)
    other, _ = data.load(name, "test")
    assert points.shape == other.shape == (10_000, 2) and points.dtype == torch.float32
    assert labels.shape == (10_000,) and labels.dtype == torch.int64
    assert np.array_equal(points.numpy(), data.toys.TOYS[name](10_000, seed=0)[0])
    assert np.array_equal(other.numpy(), data.toys.TOYS[name](10_000, seed=1)[0])


def test_class_names():
    assert data.class_names("mnist") == tuple("0123456789")
    assert data.class_names("cifar10")[3] == "cat" and len(data.class_names("cifar10")) == 10
    assert data.class_names("emoji32") == data.class_names("emoji64") == data.class_names("moons") == ()


@pytest.mark.parametrize("name, near", [("moon", "moons"), ("FashionMNIST", "fashion_mnist"), ("cifar-10", "cifar10")])
def test_unknown_names_are_answered_with_near_ones(name, near):
    for function in (data.load, data.class_names):
        with pytest.raises(ValueError, match=rf"name must be one of .*did you mean .*\b{near}\b"):
            function(name)


def test_unknown_splits_are_answered_with_those_of_the_set():
    with pytest.raises(ValueError, match="split of moons must be one of train, test, got 'trian'; did you mean train"):
        data.load("moons", "trian")
    with pytest.raises(ValueError, match="split of fashion_mnist_6k must be one of train, test, got 'unseen_tone'"):
        data.load("fashion_mnist_6k", "unseen_tone")
    for name in ("emoji32", "emoji64"):
        wanted = f"split of {name} must be one of train, test, unseen_tone, unseen_style, got 'unseen'"
        with pytest.raises(ValueError, match=wanted):
            data.load(name, "unseen")
