import numpy as np
import pytest

from minidiffusion.data import toys

MANY = 1_000_000


@pytest.mark.parametrize("name", toys.TOYS)
def test_shapes_types_and_seeds(name):
    toy = toys.TOYS[name]
    points, labels = toy(1000, seed=3)
    assert points.shape == (1000, 2) and points.dtype == np.float32
    assert labels.shape == (1000,) and labels.dtype == np.int64
    again, labels_again = toy(1000, seed=3)
    assert np.array_equal(points, again) and np.array_equal(labels, labels_again)
    assert not np.array_equal(points, toy(1000, seed=4)[0])
    assert toy(1)[0].shape == (1, 2)


@pytest.mark.parametrize("name", toys.TOYS)
def test_mean_is_zero_and_variance_one_over_both_axes(name):
    points = toys.TOYS[name](MANY)[0].astype(np.float64)
    if name == "dino":
        points *= np.sqrt(1 / (1 + 0.02**2))  # the documented jitter
    square = (points**2).sum(axis=1)
    assert (np.abs(points.mean(axis=0)) < 5 * points.std(axis=0) / np.sqrt(MANY)).all()
    assert abs(square.mean() - 2) < 5 * square.std() / np.sqrt(MANY)


@pytest.mark.parametrize("name, count", [("moons", 2), ("spiral", 2), ("checkerboard", 8), ("gaussians", 25)])
def test_arms_and_modes_are_equally_likely(name, count):
    labels = toys.TOYS[name](MANY)[1]
    share = np.bincount(labels, minlength=count) / MANY
    assert len(share) == count
    assert (np.abs(share - 1 / count) < 5 * np.sqrt(1 / count / MANY)).all()


@pytest.mark.parametrize("name", ["swiss_roll", "dino"])
def test_toys_in_one_piece_have_one_label(name):
    assert not toys.TOYS[name](500)[1].any()


def test_the_25_gaussians_are_there():
    points, labels = toys.gaussians(50_000)
    points = points * np.sqrt(2 + 0.05**2) + 2
    for mode in range(25):
        own = points[labels == mode]
        assert np.allclose(own.mean(axis=0), (mode % 5, mode // 5), atol=0.01)
        assert np.allclose(own.std(axis=0), 0.05, atol=0.005)


def test_checkerboard_leaves_the_light_squares_empty():
    points, labels = toys.checkerboard(50_000)
    column, row = np.floor(points.astype(np.float64) * np.sqrt(4 / 3) + 2).astype(int).T
    assert ((column + row) % 2 == 0).all()
    assert len({*zip(column, row, strict=True)}) == 8
    assert len({*zip(column, row, labels, strict=True)}) == 8


def test_moons_lie_on_their_half_circles():
    points, labels = toys.moons(50_000)
    scale = np.sqrt((3 / 4 + 1 / 2 - (2 / np.pi) ** 2 + (2 / np.pi - 1 / 4) ** 2 + 2 * 0.05**2) / 2)
    points = points * scale + np.array([0.5, 0.25])
    centres = np.where(labels[:, None] == 0, (0.0, 0.0), (1.0, 0.5))
    from_centre = points - centres
    assert np.abs(np.hypot(*from_centre.T) - 1).max() < 6 * 0.05
    upward = np.where(labels == 0, 1, -1) * from_centre[:, 1]
    assert upward.min() > -6 * 0.05


def test_spiral_points_lie_on_their_own_arm():
    points, labels = toys.spiral(50_000)
    points = points * np.sqrt((1 / 2 + 2 * 0.02**2) / 2)
    radius = np.linspace(0, 1, 2001)
    for arm in (0, 1):
        angle = 3 * np.pi * radius + np.pi * arm
        curve = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        own = points[labels == arm][:2000]
        distance = np.linalg.norm(own[:, None] - curve[None], axis=-1).min(axis=1)
        assert distance.max() < 6 * 0.02


def test_swiss_roll_points_lie_on_the_roll():
    points = toys.swiss_roll(2000)[0]
    mean = np.array([2, 2 / (3 * np.pi)])
    points = points * np.sqrt((9.75 * np.pi**2 + 2 * 0.3**2 - (mean**2).sum()) / 2) + mean
    angle = np.linspace(1.5 * np.pi, 4.5 * np.pi, 4001)
    curve = angle[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    distance = np.linalg.norm(points[:, None] - curve[None], axis=-1).min(axis=1)
    assert distance.max() < 6 * 0.3
    assert distance.std() > 0.05  # the noise is there


def dinosaur():
    """The 142 published points, scaled here on their own: zero mean, variance one over both axes."""
    file = toys.files("minidiffusion.data") / "files" / "dino.csv"
    points = np.array([line.split(",") for line in file.read_text().split()[1:]], dtype=float)
    return (points - points.mean(axis=0)) / np.sqrt(points.var(axis=0).mean())


def test_dino_of_142_is_the_dinosaur_itself():
    points = toys.dino(142, seed=5)[0]
    assert np.allclose(np.sort(points, axis=0), np.sort(dinosaur(), axis=0), atol=1e-6)
    assert len(np.unique(toys.dino(100)[0], axis=0)) == 100


def test_more_dino_points_lie_close_to_the_dinosaur_and_cover_it():
    points = toys.dino(5000)[0]
    distance = np.linalg.norm(points[:, None] - dinosaur()[None], axis=-1)
    assert distance.min() > 0 and distance.min(axis=1).max() < 6 * 0.02
    assert distance.min(axis=0).max() < 6 * 0.02
    assert len(np.unique(points, axis=0)) == 5000


@pytest.mark.parametrize("toy", toys.TOYS.values())
def test_bad_counts_and_seeds_are_refused(toy, unchecked):
    for count in (0, 2.5, True, "5"):
        with pytest.raises(ValueError, match=f"count must be a whole number of at least 1, got {count!r}"):
            toy(count)
    for seed in (-1, 0.5, None):
        with pytest.raises(ValueError, match=f"seed must be a whole number of at least 0, got {seed!r}"):
            toy(5, seed=seed)
