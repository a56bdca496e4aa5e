"""Measure a student, its expert and the base by their probabilities, seed by seed.

Both KLs between student and expert, log-ratios, Assumption 1 and Theorem 2, and the KL to the base
beside what was forgotten, from the responses that evaluation has sampled. What stands for the
student's class in Theorem 2 are its own checkpoints, the base, and the expert, or the expert's
learnable part, where that is of the class.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, Json

from online_il.config.generation import Generation
from online_il.errors import InputError
from online_il.experts.model import open_model
from online_il.experts.opening import opened_mixture
from online_il.experts.policy import Policy
from online_il.files import write_table
from online_il.generation.tokens import Tokens, vocabulary_hash
from online_il.layout import existing_steps
from online_il.models import is_mixture, newest_step
from online_il.pairs.answers import Answers, answers, check_same_prompts, correct_by_prompt
from online_il.pairs.measures import SHARE, Measure, Opened, difference, measures_of_seed
from online_il.pairs.tables import DivergenceTable
from online_il.program.cli import ProgramOptions, log, main
from online_il.provenance import file_hash, versions
from online_il.records import read_prompts


class Place(BaseModel):
    """Where a policy lies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="what the table calls it")
    checkpoints: Path = Field(description="folder of its checkpoints")
    evaluations: Path = Field(description="folder of its evaluations")


class Seed(BaseModel):
    """The policies of one seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    student: Place
    expert: Place
    base: Place
    best: Place | None = Field(description="a policy of the class that it imitates in the end")
    log_coverage: float | None = Field(description="log C of the expert, nats, where it is known")


class Options(ProgramOptions):
    task: str = Field(description="name of the task")
    seeds: Json[dict[int, Seed]] = Field(description="policies of every seed, JSON")
    responses_to: str = Field(description="benchmark whose responses are read")
    responses: int = Field(description="responses a prompt that are read")
    quantiles: list[float] = Field(description="quantiles of log-ratios, 1 is the largest")
    density_clip: float = Field(description="nats below 1 at which a density is clipped")
    forgetting: str = Field("", description="benchmarks of what is forgotten, commas between")
    generation: Json[Generation] = Field(description="generation settings, JSON")
    prompts: Path = Field(description="table of prompts")
    code: str | None = Field(None, description="hash of the code, for provenance")
    output: Path = Field(description="table to write")


def run(options: Options) -> None:
    prompts = read_prompts(options.prompts, [options.responses_to])
    texts = dict(zip(prompts["prompt_id"], prompts["text"], strict=True))
    rows, facts = [], {}
    for number, seed in options.seeds.items():
        found, facts[f"seed{number}"] = measured(seed, options, texts)
        names = {"task": options.task, "student": seed.student.name, "expert": seed.expert.name}
        rows += [{**names, "seed": number, **measure._asdict()} for measure in found]
        log("measured", **names, seed=number)
    where = {"code_hash": options.code, "versions": versions(), "seeds": facts}
    where |= options.model_dump(include={"responses_to", "quantiles", "density_clip"})
    where |= {"prompts_hash": file_hash(options.prompts)}
    write_table(rows, DivergenceTable, options.output, where)


def measured(
    seed: Seed, options: Options, texts: dict[str, str]
) -> tuple[list[Measure], dict[str, int]]:
    """Measure one seed; return what it found, and counts that a reader must know."""
    asked = options.responses_to, options.responses
    folder = newest_step(seed.student.checkpoints)
    opened = {}
    for role in ("student", "expert", "base"):
        place = getattr(seed, role)
        if vocabulary_hash(newest_step(place.checkpoints)) != vocabulary_hash(folder):
            raise InputError(
                f"{place.checkpoints} and {seed.student.checkpoints}: the tokens of {place.name} "
                f"and {seed.student.name} differ; imitate an expert of the student's vocabulary, "
                "or set divergence to null"
            )
        answered = answers(place.evaluations, last_step(place.evaluations), *asked)
        opened[role] = Opened(policy_in(newest_step(place.checkpoints), options), answered)
    family = family_of(seed, opened, *asked)
    check_same_prompts([*family, (seed.expert.name, opened["expert"].answers)])
    tokens = Tokens(folder)
    found = measures_of_seed(
        **opened,
        family=family,
        prompts={name: tokens.prompt(texts[name]) for name in family[0][1].prompt_N},
        log_coverage=seed.log_coverage,
        quantiles=options.quantiles,
        density_clip=options.density_clip,
        batch_size=options.generation.batch_size,
    )
    for name in filter(None, options.forgetting.split(",")):
        before, now = (
            correct_by_prompt(place.evaluations, last_step(place.evaluations), name)
            for place in (seed.base, seed.student)
        )
        lost = before.to_numpy(), now.reindex(before.index).to_numpy()
        found.append(difference(f"forgotten_{name}", SHARE, *lost))
    student, expert = opened["student"].answers, opened["expert"].answers
    return found, {
        "responses": len(student.prompt_N),
        "truncated_student": student.truncated,
        "truncated_expert": expert.truncated,
        "policies": len(family),
    }


def family_of(
    seed: Seed, opened: dict[str, Opened], benchmark: str, count: int
) -> list[tuple[str, Answers]]:
    """List policies of the student's class with their answers, the student first."""
    folder = seed.student.evaluations
    numbers = [int(path.name.removeprefix("step")) for path in existing_steps(folder)]
    earlier = [
        (f"{seed.student.name}@{number}", answers(folder, number, benchmark, count))
        for number in numbers[:-1]
    ]
    found = [(f"{seed.student.name}@{numbers[-1]}", opened["student"].answers), *earlier]
    found.append((seed.base.name, opened["base"].answers))
    if seed.best is not None and seed.best.name != seed.base.name:
        place = seed.best.evaluations
        found.append((seed.best.name, answers(place, last_step(place), benchmark, count)))
    return found


def policy_in(folder: Path, options: Options) -> Policy:
    """Open the policy in a folder."""
    if is_mixture(folder):
        return opened_mixture(folder, options.generation)
    return open_model(folder, options.generation)


def last_step(evaluations: Path) -> int:
    """Find the last step that is evaluated. Raises `InputError` for none."""
    steps = existing_steps(evaluations)
    if not steps:
        raise InputError(f"{evaluations}: no evaluation in it; delete it and start again")
    return int(steps[-1].name.removeprefix("step"))


if __name__ == "__main__":
    main(run, Options, __doc__)
