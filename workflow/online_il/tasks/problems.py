"""Problems with a boxed answer: DeepScaleR, MATH-500, AIME 2024 and AIME 2025.

The prompt ends with the sentence that DeepSeek-R1's and Qwen's model cards ask for; the paper does
not print its prompt.
"""

from online_il import hub
from online_il.chat import as_text
from online_il.config.data import Aime, DeepScaler
from online_il.config.hub import DataSet
from online_il.tasks.prompt import Converted, Prompt, prompt, without_tests, words

INSTRUCTION = r"Please reason step by step, and put your final answer within \boxed{}."


class MathProblem(hub.HubRow):
    """A row of DeepScaleR, MATH-500 or math-ai/aime25."""

    problem: str
    answer: str


class Aime2024Problem(hub.HubRow):
    """A row of Maxwell-Jia/AIME_2024, whose answers are integers."""

    Problem: str
    Answer: int


def deepscaler(settings: DeepScaler) -> Converted:
    """Make splits train, aime2024 and math500.

    Training rows that are test rows are dropped, and so are those without an answer.
    """
    tests = [("aime2024", settings.aime2024, _aime2024(settings.aime2024))]
    tests.append(("math500", settings.math500, list(hub.rows(settings.math500, MathProblem))))
    train, dropped = without_tests(
        hub.rows(settings.train, MathProblem),
        [row for _, _, rows in tests for row in rows],
        lambda row: words(row.problem),
    )
    answered = [row for row in train if row.answer.strip()]
    counts = {"train_dropped": dropped, "train_unanswered": len(train) - len(answered)}
    return Converted(_asked([("train", settings.train, answered), *tests]), counts)


def aime(settings: Aime) -> Converted:
    """Make splits aime2024 and aime2025; there is nothing to train on."""
    tests = [("aime2024", settings.aime2024, _aime2024(settings.aime2024))]
    tests.append(("aime2025", settings.aime2025, list(hub.rows(settings.aime2025, MathProblem))))
    return Converted(_asked(tests), {})


def _aime2024(source: DataSet) -> list[MathProblem]:
    return [
        MathProblem(problem=row.Problem, answer=str(row.Answer))
        for row in hub.rows(source, Aime2024Problem)
    ]


def _asked(splits: list[tuple[str, DataSet, list[MathProblem]]]) -> list[Prompt]:
    return [
        prompt(
            split,
            as_text([{"role": "user", "content": f"{row.problem.strip()}\n\n{INSTRUCTION}"}]),
            {"grader": "math", "reference": row.answer.strip()},
            source,
        )
        for split, source, rows in splits
        for row in rows
    ]
