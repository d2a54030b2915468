"""Answers that students give to the exercises of lesson 21."""

import re

import torch

# ---- 21.1: take a line apart ----


def apart(line):
    prompt, *pieces = line.split("--")
    no, seed = "", None
    for piece in pieces:
        name, _, value = piece.strip().partition(" ")
        if name == "no":
            no = value.strip()
        if name == "seed":
            seed = int(value)
    return prompt.strip(), no, seed


def apart_by_patterns(line):
    no, seed = re.search(r"--no\s+([^-]+)", line), re.search(r"--seed\s+(\d+)", line)
    return line.split("--")[0].strip(), no[1].strip() if no else "", int(seed[1]) if seed else None


def apart_by_words(line):
    found, where = {"prompt": [], "no": [], "seed": []}, "prompt"
    for word in line.split():
        if word in ("--no", "--seed"):
            where = word[2:]
        else:
            found[where].append(word)
    return [" ".join(found["prompt"]), " ".join(found["no"]), int(found["seed"][0]) if found["seed"] else None]


def changed(change):
    return lambda line: change(*apart(line))


def in_this_order(line):
    prompt, _, rest = line.partition("--no")
    no, _, seed = rest.partition("--seed")
    return prompt.split("--")[0].strip(), no.strip(), int(seed) if seed else None


APART_RIGHT = [apart, apart_by_patterns, apart_by_words]
APART_WRONG = [
    (lambda line: None, "returns None"),
    (lambda line: apart(line)[:2], "return three things"),
    (lambda line: line.split("--")[0].strip(), "return three things"),
    (changed(lambda prompt, no, seed: (prompt, no or None, seed)), "must be strings"),
    (changed(lambda prompt, no, seed: (prompt + " ", no, seed)), "use .strip()"),
    (lambda line: (line.strip(), *apart(line)[1:]), "still holds an option"),
    (lambda line: (line.split("-")[0].strip(), *apart(line)[1:]), "A hyphen inside a word"),
    (changed(lambda prompt, no, seed: (prompt, "", seed)), "the words to avoid are 'red'"),
    (changed(lambda prompt, no, seed: (prompt, no, seed or 0)), "it must be None"),
    (changed(lambda prompt, no, seed: (prompt, no, seed if seed is None else str(seed))), "a whole number"),
    (changed(lambda prompt, no, seed: (prompt, no, seed or None)), "a whole number"),
    (changed(lambda prompt, no, seed: (prompt, no, seed if seed is None else 7)), "the seed is 12"),
    (in_this_order, "a whole number"),
    (lambda line: apart(line)[5], "stops"),
]

# ---- 21.2: one good picture in four ----


def grids(chances, n):
    return (1 - (1 - chances) ** n).mean()


def grids_by_loop(chances, n):
    total = 0.0
    for chance in chances.tolist():
        bad = 1.0
        for _ in range(n):
            bad *= 1 - chance
        total += 1 - bad
    return total / len(chances)


def grids_by_logarithms(chances, n):
    return -torch.expm1(n * torch.log1p(-chances)).mean().item()


def in_place(chances, n):
    chances -= 1
    return 1 - ((-chances) ** n).mean()


GRIDS_RIGHT = [grids, grids_by_loop, grids_by_logarithms]
GRIDS_WRONG = [
    (lambda chances, n: None, "returns None"),
    (in_place, "changes its input chances in place"),
    (lambda chances, n: 1 - (1 - chances.mean()) ** n, "the friend's answer"),
    (lambda chances, n: (chances**n).mean(), "all pictures are good"),
    (lambda chances, n: ((1 - chances) ** n).mean(), "all pictures are bad"),
    (lambda chances, n: n * chances.mean(), "number of good pictures"),
    (lambda chances, n: chances.mean(), "n must matter"),
    (lambda chances, n: (1 - chances**n).mean(), "at least one bad"),
    (lambda chances, n: (n * chances * (1 - chances) ** (n - 1)).mean(), "exactly one good"),
    (lambda chances, n: (1 - (1 - chances) ** n).sum(), "number of prompts"),
    (lambda chances, n: (n * chances).clamp(max=1).mean(), "do not add up"),
    (lambda chances, n: 1 - (1 - chances) ** n, "must be one number"),
    (lambda chances, n: 0.9, "but yours is 0.9000"),
]

# ---- 21.3: look to the right ----


def look(picture, by):
    width = picture.shape[2]
    moved, known = torch.zeros_like(picture), torch.zeros(picture.shape[1:], dtype=torch.bool)
    moved[:, :, : width - by] = picture[:, :, by:]
    known[:, : width - by] = True
    return moved, known


def look_by_joining(picture, by):
    channels, rows, _ = picture.shape
    left = picture[:, :, by:]
    return torch.cat([left, torch.zeros(channels, rows, by)], 2), torch.cat(
        [torch.ones_like(left[0], dtype=torch.bool), torch.zeros(rows, by, dtype=torch.bool)], 1
    )


def look_by_rolling(picture, by):
    known = torch.arange(picture.shape[2]).repeat(picture.shape[1], 1) < picture.shape[2] - by
    return [picture.roll(-by, 2) * known, known]


def look_in_place(picture, by):
    picture[:, :, :-by] = picture[:, :, by:].clone()
    return picture, look(picture, by)[1]


def other_way(picture, by):
    return look(picture.flip(2), by)[0].flip(2)


LOOK_RIGHT = [look, look_by_joining, look_by_rolling]
LOOK_WRONG = [
    (lambda picture, by: None, "returns None"),
    (look_in_place, "changes its input picture in place"),
    (lambda picture, by: look(picture, by)[0], "return two things"),
    (lambda picture, by: (other_way(picture, by), look(picture, by)[1]), "frees the left side"),
    (lambda picture, by: (picture.roll(-by, 2), look(picture, by)[1]), "must not come back"),
    (lambda picture, by: (picture.clone(), look(picture, by)[1]), "has not moved"),
    (lambda picture, by: (picture * look(picture, by)[1], look(picture, by)[1]), "made room on the right"),
    (lambda picture, by: (look(picture, by)[0] + 1, look(picture, by)[1]), "values are wrong"),
    (lambda picture, by: (look(picture, by)[0], ~look(picture, by)[1]), "the opposite"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1].flip(1)), "the mask frees the left side"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1] | True), "everything is known"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1] & False), "in the first 5 columns only"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1].float()), "keep the type"),
    (lambda picture, by: (picture[:, :, by:], look(picture, by)[1]), "have the shape"),
]

BANK = {"21.1": (APART_RIGHT, APART_WRONG), "21.2": (GRIDS_RIGHT, GRIDS_WRONG), "21.3": (LOOK_RIGHT, LOOK_WRONG)}
