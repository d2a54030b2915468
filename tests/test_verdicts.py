import math

import pytest
import torch

from minidiffusion.course.verdicts import short, verdict


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.006352818, "0.0064"),
        (1.2499, "1.2"),
        (149.6, "150"),
        (98765, "99000"),
        (3.14e-6, "3.1e-06"),
        (-0.0346, "-0.035"),
        (8.0, "8"),
        (0, "0"),
        (torch.tensor(0.5), "0.5"),
        (math.inf, "inf"),
    ],
)
def test_short_keeps_two_significant_digits(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "relation", "bound", "line"),
    [
        (1.23, "<", 5, "it holds: PASS (ratio 1.2 < 5)"),
        (7.31, "<", 5, "it holds: FAIL (ratio 7.3, not < 5)"),
        (0.17, ">", 0.1, "it holds: PASS (ratio 0.17 > 0.1)"),
        (0.1, ">", 0.1, "it holds: FAIL (ratio 0.1, not > 0.1)"),
        (math.nan, "<", 5, "it holds: FAIL (ratio nan, not < 5)"),
        (math.nan, ">", 5, "it holds: FAIL (ratio nan, not > 5)"),
        (torch.tensor(2.0), "<", torch.tensor(3.0), "it holds: PASS (ratio 2 < 3)"),
    ],
)
def test_verdict_follows_the_numbers(value, relation, bound, line, capsys):
    verdict("it holds", value, relation, bound, "ratio")
    assert capsys.readouterr().out == line + "\n"


def test_verdict_without_a_name(capsys):
    verdict("it holds", 1, "<", 2)
    assert capsys.readouterr().out == "it holds: PASS (1 < 2)\n"


def test_verdict_refuses_other_relations():
    with pytest.raises(ValueError, match="relation must be one of <, >, got '=='"):
        verdict("it holds", 1, "==", 1)
