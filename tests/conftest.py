"""Every schedule for the tests of exact formulas, and a way to hear our own messages about wrong shapes."""

import os

import jaxtyping
import pytest
import torch
from hypothesis import settings

from minidiffusion import schedule as schedules

if "PYTEST_XDIST_WORKER" in os.environ:  # one thread for each worker, and for the processes that it starts
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)

# The same examples on every run: what is red here is red everywhere.
settings.register_profile("same", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("same")

SCHEDULES = {
    "linear": schedules.linear(),
    "scaled_linear": schedules.scaled_linear(),
    "cosine": schedules.cosine(),
    "sigmoid": schedules.sigmoid(),
    "flow": schedules.flow(),
    "ve": schedules.ve(),
    "three betas": schedules.from_betas([0.1, 0.5, 0.9]),
    "zero terminal linear": schedules.zero_terminal_snr(schedules.linear()),
    "zero terminal cosine": schedules.zero_terminal_snr(schedules.cosine()),
    "shifted flow": schedules.shifted(schedules.flow(), 3.0),
    "shifted linear": schedules.shifted(schedules.linear(), 0.5),
}


@pytest.fixture(params=SCHEDULES)
def schedule(request):
    """One schedule after the other."""
    return SCHEDULES[request.param]


@pytest.fixture
def unchecked():
    """Without the shape checks that run while testing: a caller has none, and must hear from us."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def global_rng_untouched():
    """Fails the test if it draws from the generator that belongs to the caller."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state())
