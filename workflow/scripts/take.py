"""Take an expert's demonstrations from a file of responses, in its order, graded as all others are.

At most --count rows are taken; a file that has fewer gives all. Each has `prompt_id` or `prompt`,
`response` (or `text`), and may have `finish_reason`: length for what was cut off.
"""

from pathlib import Path

from pydantic import Field

from online_il.experts.file import answers, numbered
from online_il.files import write_table
from online_il.generation.response import Response
from online_il.generation.tokens import Tokens
from online_il.grading import graded_samples
from online_il.layout import step
from online_il.program.cli import RunOptions, log, main
from online_il.provenance import file_hash, versions
from online_il.records import Prompts, Samples, read_table


class Options(RunOptions):
    place: Path = Field(description="file of responses")
    content: str | None = Field(None, description="name of what is in it, for provenance")
    prompts: Path = Field(description="table of prompts")
    model: Path | None = Field(
        None, description="model in whose tokens responses are counted; words without one"
    )
    count: int = Field(gt=0, description="most responses to take")
    output: Path = Field(description="table to write")


def run(options: Options) -> None:
    prompts = read_table(options.prompts, Prompts)
    found = answers(options.place, prompts)
    taken = found[: options.count]
    place = {name: number for number, name in enumerate(prompts["prompt_id"])}
    tokens = Tokens(step(options.model)) if options.model else None

    def response(text: str, cut: bool) -> Response:
        length = len(tokens.encode(text) if tokens else text.split())
        return Response(text, length + (not cut), "length" if cut else "stop")

    rows = graded_samples(
        prompts,
        zip((place[answer.prompt_id] for answer in taken), numbered(taken), strict=True),
        [response(answer.text, answer.cut) for answer in taken],
        policy=options.run,
        seed=options.seed,
    )
    provenance = {
        "task": options.task,
        "policy": options.run,
        "weights_hash": None,
        "prompts_hash": file_hash(options.prompts),
        "sampling": f"a file of responses, {options.content}",
        "seed": options.seed,
        "code_hash": options.code,
        "versions": versions(),
    }
    write_table(rows, Samples, options.output, provenance)
    accuracy = sum(row["correct"] for row in rows) / len(rows)
    log("taken", responses=len(rows), left_out=len(found) - len(rows), accuracy=accuracy)


if __name__ == "__main__":
    main(run, Options, __doc__)
