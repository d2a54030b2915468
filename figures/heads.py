"""The heads side by side: what each asks the network for, how its errors weigh, and where it is singular.

    python figures/heads.py

The curves show gain^2, the weight that a plain squared error on each head's output puts on the error of x0. The last
two columns of the table come from running the code at both ends of the flow schedule, without signal (alpha = 0) and
without noise (sigma = 0). The formulas are typed in, and tests/test_heads.py compares them with the code.

Writes figures/heads.png and figures/heads.json.
"""

from pathlib import Path

import torch
from common import Parser, digits, record
from matplotlib.figure import Figure

import minidiffusion as md

HERE = Path(__file__).parent
FORMULAS = {  # name: the target, and the weight where alpha^2 + sigma^2 = 1
    "eps": (r"$\epsilon$", r"snr"),
    "x0": (r"$x_0$", r"1"),
    "v": (r"$\alpha\,\epsilon - \sigma\,x_0$", r"snr + 1"),
    "score": (r"$-\epsilon/\sigma$", r"snr$\;/\;\sigma^2$ = snr (snr + 1)"),
    "flow": (r"$\epsilon - x_0$", r"($\sqrt{\mathrm{snr}}$ + 1)$^2$"),
    "F": (r"$(\sigma x_0 - \frac{\alpha}{4}\epsilon)\;/\;\frac{1}{2}\sqrt{\alpha^2/4 + \sigma^2}$", r"snr + 4"),
}
COLUMNS = ["head", "target", "weight on the error of $x_0$", "from pure noise", "from clean data"]


def ends(head: md.heads.Head) -> dict[str, str]:
    """How far x0_hat moves at alpha = 0 and at sigma = 0 if the output is wrong by 1; or the error that was raised."""
    schedule, one = md.schedule.flow(), torch.ones(1, 1, dtype=torch.float64)
    found = {}
    for end, t in (("noise", 1.0), ("data", 0.0)):
        try:
            target = head.target(2 * one, 3 * one, t, schedule)
            x_t = md.diffuse(2 * one, t, 3 * one, schedule)
            guess = head.to_x0(target, x_t, t, schedule)
        except ValueError as error:
            found[end] = str(error)
            continue
        error = (head.to_x0(target + 1, x_t, t, schedule) - guess).abs().item()
        assert torch.allclose(guess, 2 * one)
        found[end] = f"{error:g}"
    return found


def in_words(found: str) -> str:
    if found.startswith("t must not"):
        return "refused: " + ("$x_0$ is lost" if "alpha" in found else "infinite")
    return "$x_0$; an error counts " + {"0": "0", "1": "1", "0.5": "1/2"}[found]


if __name__ == "__main__":
    Parser(__doc__).parse()
    log_snr = torch.linspace(-10, 10, 21, dtype=torch.float64)
    schedule = md.schedule.cosine()
    t, x = schedule.time(log_snr), torch.zeros(21, 1)
    weights = {name: head.gain(t, x, schedule)[:, 0] ** 2 for name, head in md.heads.HEADS.items()}
    found = {name: ends(head) for name, head in md.heads.HEADS.items()}

    figure = Figure(figsize=(11.5, 6.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=[1.15, 1])
    rows = [
        [name, *FORMULAS[name], in_words(found[name]["noise"]), in_words(found[name]["data"])]
        for name in md.heads.HEADS
    ]
    top.set_axis_off()
    table = top.table(rows, colLabels=COLUMNS, colWidths=[0.07, 0.31, 0.24, 0.19, 0.19], cellLoc="left", loc="center")
    table.auto_set_font_size(False)
    table.set_fontsize(10)
    table.scale(1, 2.0)
    for (row, column), cell in table.get_celld().items():
        cell.visible_edges = "B"
        cell.set_edgecolor("0.7")
        if row == 0:
            cell.set_text_props(weight="bold")
        elif column == 0:
            cell.set_text_props(color=md.plots.COLOURS[row - 1], weight="bold")
    for i, (name, weight) in enumerate(weights.items()):  # the first lines are wide, to be seen under the last ones
        style = dict(color=md.plots.COLOURS[i], marker=md.plots.MARKERS[i], markersize=6, markevery=(i, 6))
        bottom.plot(log_snr, weight, lw=8 - 1.3 * i, label=name, **style)
    bottom.set_yscale("log")
    bottom.set_ylim(1e-5, 1e9)
    bottom.set_xlabel("log SNR (left: nearly noise, right: nearly data)")
    bottom.set_ylabel("weight on the error of $x_0$")
    bottom.spines[["top", "right"]].set_visible(False)
    bottom.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(HERE / "heads.png", dpi=130)
    results = {
        name: {
            "weight": [digits(w) for w in weights[name].tolist()],
            "at alpha = 0, an error of 1 in the output moves x0_hat by": found[name]["noise"],
            "at sigma = 0, an error of 1 in the output moves x0_hat by": found[name]["data"],
        }
        for name in md.heads.HEADS
    }
    weight = "gain^2 on a schedule with alpha^2 + sigma^2 = 1 (cosine)"
    record(__file__, {"weight": weight, "log_snr": log_snr.tolist(), "heads": results})
