"""Two-dimensional toy distributions in numpy: `name(count, seed=0)` samples (points, labels).

points are float32 (count, 2); labels are int64 (count,), the arm, mode or square that a point came from.
ValueError if count is not a whole number of at least 1, or seed of at least 0.

Each toy is a density in convenient units, then shifted, and scaled by the same factor along both axes, so that
E[x] = E[y] = 0 and E[x^2 + y^2] = 2: zero mean, and variance 1 on average over the axes. These are the moments of the
density, in closed form for each toy, not those of the sample. So the points are independent of each other, and any two
samples of a toy have the same scale.
"""

from collections.abc import Callable
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ..check import whole

Toy = tuple[NDArray[np.float32], NDArray[np.int64]]


def moons(count: int, seed: int = 0) -> Toy:
    """Two interleaving half circles of radius 1, with Gaussian noise of 0.05. Labels: 0 for the upper, 1 the lower."""
    rng = _generator(count, seed)
    label = rng.integers(2, size=count)
    angle = rng.uniform(0, np.pi, count)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    points = np.where(label[:, None] == 0, upper, lower) + 0.05 * rng.standard_normal((count, 2))
    # On a half circle E[sin] = 2/pi and E[cos^2] = E[sin^2] = 1/2. The centres of mass of the two are 1/2 (across) and
    # 2/pi - 1/4 (up) from the point halfway between them.
    variance_x = 1 / 2 + 1 / 4 + 0.05**2
    variance_y = 1 / 2 - (2 / np.pi) ** 2 + (2 / np.pi - 1 / 4) ** 2 + 0.05**2
    return _scaled(points, label, mean=(1 / 2, 1 / 4), square=variance_x + variance_y)


def swiss_roll(count: int, seed: int = 0) -> Toy:
    """A roll a (cos a, sin a), a uniform in [1.5 pi, 4.5 pi], with Gaussian noise of 0.3. All labels are 0."""
    rng = _generator(count, seed)
    angle = rng.uniform(1.5 * np.pi, 4.5 * np.pi, count)
    points = angle[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points += 0.3 * rng.standard_normal((count, 2))
    # The integrals over these three half turns: E[a cos a] = 2, E[a sin a] = 2/(3 pi), E[a^2] = 9.75 pi^2.
    mean = (2.0, 2 / (3 * np.pi))
    square = 9.75 * np.pi**2 + 2 * 0.3**2 - mean[0] ** 2 - mean[1] ** 2
    return _scaled(points, np.zeros(count), mean, square)


def checkerboard(count: int, seed: int = 0) -> Toy:
    """Uniform on the 8 dark squares of a 4 x 4 board. Labels: the square, row by row from the bottom left."""
    rng = _generator(count, seed)
    label = rng.integers(8, size=count)
    row = label // 2
    column = 2 * (label % 2) + row % 2
    points = np.stack([column, row], axis=1) + rng.uniform(size=(count, 2))
    # Each axis alone is uniform on [0, 4], whose variance is 16/12.
    return _scaled(points, label, mean=(2.0, 2.0), square=2 * 16 / 12)


def spiral(count: int, seed: int = 0) -> Toy:
    """Two spiral arms of one and a half turns and radius 1, with Gaussian noise of 0.02. Labels: the arm."""
    rng = _generator(count, seed)
    label = rng.integers(2, size=count)
    radius = np.sqrt(rng.uniform(size=count))  # with the square root, the points are spread evenly along the arm
    angle = 3 * np.pi * radius + np.pi * label
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points += 0.02 * rng.standard_normal((count, 2))
    # Each arm is the other one turned by half a turn, so the mean is 0. E[radius^2] = 1/2.
    return _scaled(points, label, mean=(0.0, 0.0), square=1 / 2 + 2 * 0.02**2)


def gaussians(count: int, seed: int = 0) -> Toy:
    """25 Gaussians of standard deviation 0.05 on a 5 x 5 grid of spacing 1. Labels: the mode, row by row."""
    rng = _generator(count, seed)
    label = rng.integers(25, size=count)
    points = np.stack([label % 5, label // 5], axis=1) + 0.05 * rng.standard_normal((count, 2))
    # The variance of 0, 1, 2, 3, 4, all equally likely, is 2.
    return _scaled(points, label, mean=(2.0, 2.0), square=2 * (2 + 0.05**2))


def dino(count: int, seed: int = 0) -> Toy:
    """The 142 points of the Datasaurus (Cairo; Matejka and Fitzmaurice, CHI 2017). All labels are 0.

    Up to 142 points are exact and all different. More are sampled with replacement and blurred by Gaussian noise of
    0.02 after scaling, which adds 0.0004 to the variance. (Half of the 142 points are more than 0.12 away from their
    nearest neighbour.)
    """
    rng = _generator(count, seed)
    with files(__package__).joinpath("files/dino.csv").open() as file:
        exact = np.loadtxt(file, delimiter=",", skiprows=1)
    exact = (exact - exact.mean(axis=0)) / np.sqrt(exact.var(axis=0).mean())
    if count <= len(exact):
        points = rng.choice(exact, count, replace=False)
    else:
        points = rng.choice(exact, count) + 0.02 * rng.standard_normal((count, 2))
    return _scaled(points, np.zeros(count), mean=(0.0, 0.0), square=2.0)


TOYS: dict[str, Callable[..., Toy]] = {
    toy.__name__: toy for toy in (moons, swiss_roll, checkerboard, spiral, gaussians, dino)
}


def _generator(count: int, seed: int) -> "np.random.Generator":  # a string, because numpy.random takes long to import
    whole("count", count, 1)
    whole("seed", seed, 0)
    return np.random.default_rng(seed)


def _scaled(points: NDArray, label: NDArray, mean: tuple[float, float], square: float) -> Toy:
    """(points - mean) / sqrt(square / 2), where mean and square = E|point - mean|^2 are those of the density."""
    points = (points - np.array(mean)) / np.sqrt(square / 2)
    return points.astype(np.float32), label.astype(np.int64)
