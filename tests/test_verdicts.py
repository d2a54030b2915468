import math

import pytest
import torch

from minidiffusion.course.verdicts import confirm, short, verdict


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
        (1.23, "<", 5, "Supported: it holds (ratio 1.2; the rule asked for less than 5)."),
        (7.31, "<", 5, "Refuted: it holds (ratio 7.3; the rule asked for less than 5)."),
        (0.17, ">", 0.1, "Supported: it holds (ratio 0.17; the rule asked for more than 0.1)."),
        (0.1, ">", 0.1, "Refuted: it holds (ratio 0.1; the rule asked for more than 0.1)."),
        (math.nan, "<", 5, "Refuted: it holds (ratio nan; the rule asked for less than 5)."),
        (math.nan, ">", 5, "Refuted: it holds (ratio nan; the rule asked for more than 5)."),
        (torch.tensor(2.0), "<", torch.tensor(3.0), "Supported: it holds (ratio 2; the rule asked for less than 3)."),
    ],
)
def test_verdict_follows_the_numbers(value, relation, bound, line, capsys):
    verdict("it holds", value, relation, bound, "ratio")
    assert capsys.readouterr().out == line + "\n"


def test_verdict_without_a_name(capsys):
    verdict("it holds", 1, "<", 2)
    assert capsys.readouterr().out == "Supported: it holds (1; the rule asked for less than 2).\n"


def test_what_was_found_may_be_a_sentence(capsys):
    verdict("eps is slower", 3, ">", 4, "in {} of the 5 weightings")
    assert (
        capsys.readouterr().out
        == "Refuted: eps is slower (in 3 of the 5 weightings; the rule asked for more than 4).\n"
    )


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (0.03, "Checked: both agree (apart by 0.03, less than 0.1).\n"),
        (0.3, "Check failed: both agree (apart by 0.3, not less than 0.1).\n"),
        (math.nan, "Check failed: both agree (apart by nan, not less than 0.1).\n"),
    ],
)
def test_an_identity_is_confirmed(value, line, capsys):
    confirm("both agree", value, "<", 0.1, "apart by {}")
    assert capsys.readouterr().out == line


@pytest.mark.parametrize("judge", [verdict, confirm])
def test_other_relations_are_refused(judge):
    with pytest.raises(ValueError, match="relation must be one of <, >, got '=='"):
        judge("it holds", 1, "==", 1)
