"""Discrepancy between two models: every measure by hand and against SciPy, and bad input."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import warm
from scipy import stats

from online_il.charts.discrepancy import figure3
from online_il.discrepancy import measures
from online_il.discrepancy.reading import common_prompts, read
from online_il.discrepancy.tables import DiscrepancyTable, table1_latex, table1_markdown
from online_il.errors import ParameterError
from online_il.records import provenance, read_table

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "discrepancy.py"


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(prompt: str, text: str, correct: bool = True, **more) -> dict:
    return {"prompt_id": prompt, "text": text, "correct": correct, **more}


# Two prompts, two responses each; lengths 2, 4 | 6, 6 against 2, 9 | 9, 9 words.
EXPERT = [
    row("a", "wait so"),
    row("a", "so thus it is"),
    row("b", "Wait, wait it is so so", False),
    row("b", "it is a b c d"),
]
STUDENT = [
    row("a", "it is"),
    row("a", "thus a b c d e f g h"),
    row("b", "waiting a b c d e f g h", False),
    row("b", "a b c d e f g h i", False),
]


def compared(tmp_path, expert=EXPERT, student=STUDENT, *, intersect=False, **options):
    given = {"keywords": ["wait", "thus"], "bin_width": 5, "resamples": 400, "seed": 1} | options
    both = [
        read([write(tmp_path / name, rows)], keywords=given["keywords"], tokenizer=None)
        for name, rows in (("e.jsonl", expert), ("s.jsonl", student))
    ]
    if intersect:
        both = [one.to(common_prompts(*both, intersect=True)) for one in both]
    return measures.compare(*both, **given)


def estimates(found) -> dict[str, float]:
    return {one.name: one.estimate for one in found.measures}


def test_every_measure_by_hand(tmp_path):
    found = estimates(compared(tmp_path))
    # Bins [0, 5) and [5, 10): 1/2, 1/2 against 1/4, 3/4.
    assert found["length, TV"] == pytest.approx(0.25)
    assert found["length, Hellinger distance"] == pytest.approx(
        math.sqrt(((0.5**0.5 - 0.5) ** 2 + (0.5**0.5 - 0.75**0.5) ** 2) / 2)
    )
    # Prompt a: 1, 0 against 1/2, 1/2; prompt b: both in the second bin.
    assert found["length, TV within a prompt"] == pytest.approx(0.25)
    # "Wait," counts, "waiting" does not.
    assert found["keyword, presence of wait"] == pytest.approx(0.5)
    assert found["keyword, presence of thus"] == pytest.approx(0.0)
    assert found["keyword, count a response of wait"] == pytest.approx(3 / 4)
    assert found["keyword, count a thousand of wait"] == pytest.approx(1000 * 3 / 18)
    assert found["keyword, count a thousand of thus"] == pytest.approx(1000 / 18 - 1000 / 29)
    # Presence vectors: (1,0) 1/2, (0,1) 1/4, (0,0) 1/4 against (0,0) 3/4, (0,1) 1/4.
    assert found["keywords, joint TV"] == pytest.approx(0.5)
    # Cells: (0,w) 1/4, (0,t) 1/4, (1,w) 1/4, (1,-) 1/4 against (0,-) 1/4, (1,t) 1/4, (1,-) 1/2.
    assert found["length and keywords, joint TV"] == pytest.approx(0.75)
    assert found["performance gap"] == pytest.approx(0.75 - 0.5)
    # Distribution functions 2: 1/4 | 1/4, 4: 1/2 | 1/4, 6: 1 | 1/4, 9: 1 | 1.
    assert found["length, Kolmogorov-Smirnov distance"] == pytest.approx(0.75)
    assert found["length, Wasserstein distance"] == pytest.approx(0.25 * 2 + 0.75 * 3)


def models(seed: int, shift: float = 0.5, n_prompts: int = 20, n: int = 6):
    rng = np.random.default_rng(seed)
    return [
        [
            row(
                f"p{p}",
                " ".join(rng.choice(list("abc"), int(rng.lognormal(3 + moved, 0.5)) + 1)),
                bool(rng.random() < rate),
            )
            for p in range(n_prompts)
            for _ in range(n)
        ]
        for moved, rate in ((0.0, 0.9), (shift, 0.6))
    ]


def test_distances_of_length_are_scipys(tmp_path):
    expert, student = models(1)
    found = estimates(compared(tmp_path, expert, student))
    lengths = [[len(r["text"].split()) for r in rows] for rows in (expert, student)]
    assert found["length, Wasserstein distance"] == pytest.approx(
        stats.wasserstein_distance(*lengths)
    )
    assert found["length, Kolmogorov-Smirnov distance"] == pytest.approx(
        stats.ks_2samp(*lengths).statistic
    )
    rates = [np.mean([r["correct"] for r in rows]) for rows in (expert, student)]
    assert found["performance gap"] == pytest.approx(rates[0] - rates[1])


def test_the_null_is_that_of_all_swaps(tmp_path):
    # With one response each, a swap a prompt: all 2^4 sign patterns can be enumerated.
    expert = [row(f"p{i}", "a " * n) for i, n in enumerate((1, 9, 9, 9))]
    student = [row(f"p{i}", "a " * n) for i, n in enumerate((9, 1, 9, 1))]
    found = compared(tmp_path, expert, student, resamples=4000)
    tv = next(one for one in found.measures if one.name == "length, TV")
    differing = [1, -1, 0, -1]
    values = [
        abs(sum(s * d for s, d in zip(signs, differing, strict=True))) / 4
        for signs in np.array(np.meshgrid(*[[1, -1]] * 4)).reshape(4, -1).T
    ]
    assert tv.estimate == pytest.approx(0.25)
    assert tv.null_mean == pytest.approx(np.mean(values), abs=0.02)
    assert tv.p_value == pytest.approx(np.mean([v >= 0.25 - 1e-9 for v in values]), abs=0.02)
    assert not tv.above_noise


def test_intervals_and_verdicts_of_a_clear_case(tmp_path):
    expert, student = models(2, shift=2.0)
    found = {one.name: one for one in compared(tmp_path, expert, student).measures}
    tv, gap = found["length, TV"], found["performance gap"]
    assert tv.ci_low < tv.estimate <= 1 and tv.above_noise and tv.above_gap is True
    assert gap.above_gap is None and gap.ci_low < gap.estimate < gap.ci_high
    told = found["all words, classifier's bound on TV"]
    assert told.estimate > 0.3 and told.above_noise
    # The same responses twice: nothing is above the noise.
    same = compared(tmp_path, expert, expert)
    assert not any(one.above_noise for one in same.measures)
    assert estimates(same)["length, TV"] == 0.0


def test_the_bootstrap_draws_prompts_as_a_whole(tmp_path):
    # All responses to a prompt agree, so the gap's error is that of four prompts.
    right = [True, True, False, False] * 5
    expert = [row(f"p{p}", "a b", ok) for p, ok in enumerate(right) for _ in range(30)]
    student = [row(f"p{p}", "a b", False) for p in range(20) for _ in range(30)]
    gap = compared(tmp_path, expert, student, resamples=4000).measures[-1]
    width = 2 * stats.t.ppf(0.975, 19) * math.sqrt(0.25 / 19)
    assert gap.name == "performance gap"
    assert gap.ci_high - gap.ci_low == pytest.approx(width, rel=0.05)


def test_prompts_weigh_equally_whatever_their_number_of_responses(tmp_path):
    expert = [*[row("a", "a", True)] * 9, row("b", "a", False)]
    student = [row("a", "a", False), row("b", "a", False), row("b", "a", False)]
    assert estimates(compared(tmp_path, expert, student))["performance gap"] == pytest.approx(0.5)


def test_resamples_depend_on_the_seed_alone(tmp_path):
    expert, student = models(3)
    one, again = (compared(tmp_path, expert, student).measures for _ in range(2))
    assert one == again
    assert one != compared(tmp_path, expert, student, seed=2).measures


# ---- the program ----


def test_the_program_alone_on_two_files(tmp_path):
    expert, student = models(4)
    expert[0]["finish_reason"] = "length"
    files = [write(tmp_path / n, rows) for n, rows in (("e.jsonl", expert), ("s.jsonl", student))]
    out = tmp_path / "table.parquet"
    common = ["--expert", files[0], "--student", files[1], "--keyword", "a", "--bin-width", 10]
    common += ["--resamples", 200, "--out", out]
    done = warm.run(SCRIPT, *common, "--json", "--figure", tmp_path / "figure.svg")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    keys = {"measure", "estimate", "null_mean", "null_p95", "ci_low", "ci_high", "p_value"}
    assert all(keys <= set(line) for line in lines) and len(lines) > 10
    assert (tmp_path / "figure.svg").stat().st_size > 1000
    rows, facts = read_table(out, DiscrepancyTable), provenance(out)
    assert facts["truncated_expert"] == 1 and facts["length_unit"] == "words"
    assert "weigh equally" in facts["weights"]
    text = table1_markdown(rows, {"expert / student": "a note"})
    assert "| length, TV |" in text and "a note" in text
    assert table1_latex(rows).count("\\\\") >= len(rows)
    assert "NaN" not in (tmp_path / "figure.svg").read_text()
    assert len(figure3(out, out).to_dict()["vconcat"]) == 2
    shown = warm.run(SCRIPT, *common)
    assert "above the noise" in shown.stdout and "1 and an unknown number of them" in shown.stdout


def test_answers_are_graded_by_math_verify(tmp_path):
    rows = [
        {"id": i, "out": "so it is", "answer": answer, "reference": "1/2"}
        for i, answer in enumerate(("\\boxed{0.5}", "$\\frac{2}{4}$", "\\boxed{3}", "none"))
    ]
    found = read(
        [write(tmp_path / "a.jsonl", rows)],
        keywords=[],
        tokenizer=None,
        mapping={"prompt_id": "id", "text": "out"},
    )
    assert found.correct_N.tolist() == [1, 1, 0, 0]


def test_samples_tables_are_read_with_a_tokenizers_lengths(tmp_path):
    from online_il.models import word_tokenizer
    from online_il.tasks.miniature import VOCABULARY

    word_tokenizer(VOCABULARY).save_pretrained(tmp_path / "tokenizer")
    frame = pd.DataFrame([row("a", "<think> 3 + 4 = 7 ok"), row("b", "1 no 2 no", False)])
    frame.to_parquet(tmp_path / "s.parquet")
    found = read([tmp_path / "s.parquet"], keywords=["no"], tokenizer=str(tmp_path / "tokenizer"))
    assert found.length_N.tolist() == [7, 4] and found.counts_N_W.tolist() == [[0], [2]]


GOOD = [row("a", "x y"), row("b", "x y z")]


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("", [], "no response in it"),
        ("{}\n", [], "e.jsonl:1|no key 'text'|--key text=NAME"),
        (
            '{"prompt_id": 1, "response": "x", "correct": true}\n',
            [],
            "there are: correct, prompt_id",
        ),
        ('{"prompt_id": "a", "text": "x"}\n', [], "e.jsonl:1|no grade|reference"),
        ('{"prompt_id": "a", "text": "x", "correct": "yes"}\n', [], "not true, false or 0-1"),
        ('{"prompt_id": "a", "text": "  ", "correct": true}\n', [], "empty response|--keep-empty"),
        ('{"prompt_id": "a", "text": 3, "correct": true}\n', [], "no text but int"),
        ('{"prompt_id": "a"\n', [], "e.jsonl:1: not JSON"),
        ("[1]\n", [], "e.jsonl:1|not a JSON object"),
        (GOOD[:1], [], "1 match|--intersect"),
        (GOOD[:1], ["--intersect"], "share 1 prompts"),
        (GOOD, ["--bin-width", 0], "--bin-width 0"),
        (GOOD, ["--resamples", 3], "--resamples 3"),
        (GOOD, ["--key", "txt=text"], "--key txt|prompt_id"),
        (GOOD, ["--key", "text"], "--key text: write KEY=NAME"),
        (GOOD, ["--tokenizer", "nowhere/nothing"], "--tokenizer nowhere/nothing|cannot be loaded"),
        (b"PAR1 and no more", [], "not a whole Parquet file"),
        (b'{"prompt_id": "\xff"}\n', [], "not UTF-8"),
        (None, [], "cannot be read"),
    ],
)
def test_bad_input_is_one_line_and_no_output(tmp_path, content, options, words):
    path = tmp_path / "e.jsonl"
    if isinstance(content, list):
        write(path, content)
    elif content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    out = tmp_path / "table.parquet"
    student = write(tmp_path / "s.jsonl", GOOD)
    done = warm.run(SCRIPT, "--expert", path, "--student", student, "--out", out, *options)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words.split("|"):
        assert word in done.stderr
    assert not out.exists()


def test_an_intersection_is_taken_when_asked_for(tmp_path):
    expert, student = models(5)
    found = compared(tmp_path, expert[6:], student[:-6], intersect=True)
    assert found.n_prompts == 18
    with pytest.raises(ParameterError, match="18 match, 1 are the expert's alone"):
        compared(tmp_path, expert[6:], student[:-6])


def test_what_does_not_match_is_counted_in_nothing(tmp_path):
    """Neither cut responses, nor widths, nor lengths, as if the files had only what matches."""
    both = []
    for name, one in (("e", 0), ("s", 1)):
        rows = [
            {"prompt_id": f"p{i}", "text": "x " * (1 + i % 7 + one), "correct": i % 2}
            | {"finish_reason": "length" if i % 3 == one else "stop"}
            for i in range(10 * one, 20 + 10 * one)
        ]
        alone = {"prompt_id": name, "text": "x " * 500, "correct": 1, "finish_reason": "length"}
        both.append((name, rows, alone))
    told = []
    for matching in (True, False):
        files = [
            write(
                tmp_path / f"{name}.jsonl",
                [r for r in [*rows, alone] if not matching or r["prompt_id"] in COMMON],
            )
            for name, rows, alone in both
        ]
        out = tmp_path / f"{matching}.parquet"
        asked = ("--expert", files[0], "--student", files[1], "--intersect", "--out", out)
        done = warm.run(SCRIPT, *asked, "--resamples", 100)
        assert done.returncode == 0, done.stderr
        told.append((done.stdout, read_table(out, DiscrepancyTable)))
    assert told[0][0] == told[1][0]
    assert "10 prompts; 10 and 10 responses, 3 and 4 of them cut off" in told[0][0]
    pd.testing.assert_frame_equal(told[0][1], told[1][1])


COMMON = {f"p{i}" for i in range(10, 20)}
