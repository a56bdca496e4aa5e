"""The database of a study of experts that are mixtures, made up: arms, coverages, both starts."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from online_il.config.study import Study
from online_il.config.tasks import Task
from online_il.statistics.curves import add_intervals
from online_il.store import SQL
from online_il.studies import load_study

ROOT = Path(__file__).parents[2]
ARMS = {
    "sft": "method: sft",
    "learnable": "method: sft, filter: learnable",
    "distill": "method: distill",
    "forward": "method: distill, divergence: forward",
    "soft-forward": "method: distill, divergence: forward, prefixes: expert",
    "soft-reverse": "method: distill, prefixes: expert",
    "response": "method: distill, level: response, responses_per_prompt: 8",
}
# At the end: accuracy and share of direct answers of students of the mixture, accuracy of those of
# its learnable part, and the first two where training starts from both habits.
ENDS = {
    "sft": ((0.14, 0.94), 0.66, (0.14, 0.94)),
    "learnable": ((0.69, 0.0), None, None),
    "distill": ((0.73, 0.0), 0.72, (0.05, 0.96)),
    "forward": ((0.06, 0.95), 0.68, (0.06, 0.95)),
    "soft-forward": ((0.15, 0.94), 0.67, (0.14, 0.95)),
    "soft-reverse": ((0.52, 0.0), 0.64, (0.05, 0.95)),
    "response": ((0.5, 0.0), 0.6, (0.6, 0.02)),
}
COVERAGE = {
    "sft": {4: 0.23, 64: 0.12, 256: 0.11},
    "learnable": {4: 0.72, 64: 0.45, 256: 0.22},
    "distill": {4: 0.72, 64: 0.71, 256: 0.74},
}
OTHERS = {
    "expert": (0.71, None),
    "habits": (0.22, 0.43),
    "sft-noisy": (0.5, 0.0),
    "distill-noisy": (0.55, 0.0),
}


def config_of(folder: Path) -> Path:
    """Write the config of the study, in which runs have names as in the real one."""
    mixtures = "".join(
        f"      - {{name: mixture{'' if c == 16 else c}, kind: mixture, learnable: expert,"
        f" fallback: expert, parts: {{expert: {1 / c}, solver: {1 - 1 / c}}}}}\n"
        for c in (2, 16, 4, 64, 256)
    )
    rows = {"habits": "method: sft, expert: mixture2, checkpoints: [60], steps: 60"}
    for arm, way in ARMS.items():
        rows[f"{arm}-mixture"] = f"{way}, expert: mixture"
        if arm != "learnable":
            rows[f"{arm}-realizable"] = f"{way}, expert: expert"
            rows[f"{arm}-mixture-warm"] = f"{way}, expert: mixture, start: habits@60"
        for c in COVERAGE.get(arm, {}):
            rows[f"{arm}-mixture{c}"] = f"{way}, expert: mixture{c}"
    rows["sft-noisy"] = "method: sft, expert: noisy"
    rows["distill-noisy"] = "method: distill, expert: noisy"
    rows["distill-self"] = "method: distill, expert: base"
    runs = "".join(
        f"      - {{name: {name}, {text}, learning_rate: 0.0005"
        f"{'' if ' steps:' in text else ', steps: 160'}}}\n"
        for name, text in rows.items()
    )
    path = folder / "mixtures.yaml"
    path.write_text(
        f"extends: {ROOT}/config/mixture.yaml\nscale: made-up\ntasks:\n  - name: countdown\n"
        "    seeds: [1, 2, 3]\n    experts:\n      - {name: solver, kind: solver}\n"
        f"{mixtures}      - {{name: noisy, kind: mixture, learnable: expert, temperature: 1.5,"
        f" parts: {{expert: 1}}}}\n    runs:\n      - name: expert\n{runs}"
    )
    return path


def fake_mixtures(study: Study, database: Path, prompts: int = 40) -> None:
    """Write the database: what its tables hold that the figures read, and their views."""
    (task,) = study.tasks
    rows = [("base", "pretrain", None, None, [0], {})]
    for mixture in task.mixtures:
        rows.append((mixture.name, "mixture", None, None, [0], mixture.model_dump(mode="json")))
    for run in task.runs:
        settings = task.settings_of(run).model_dump(mode="json")
        rows.append(
            (run.name, run.method, run.expert, run.start, task.checkpoints_of(run), settings)
        )
    rng = np.random.default_rng(2)
    evaluations, answers, runs = [], [], []
    for name, method, expert, start, steps, settings in rows:
        for seed in [1] if name == "base" else task.seeds:
            own = {"task": task.name, "run": name, "seed": seed}
            made = {"method": method, "expert": expert, "start": start}
            runs.append({**own, **made, "settings": json.dumps(settings)})
            for step in steps:
                share, direct = _ability(task, name, start, step)
                at = {**own, "step": step, "benchmark": "id", "sampling": "policy"}
                correct = (rng.random(prompts) < share + 0.02 * (seed - 2)).astype(float)
                evaluations.append(
                    {**at, **made, "accuracy": correct.mean(), "direct": direct}
                    | {"n_prompts": prompts, "samples_per_prompt": 1, "updates": step}
                    | {"samples": 64 * step, "tokens": 640 * step, "device_seconds": step / 2}
                    | dict.fromkeys(["format_rate", "truncation_rate", "mean_length"], 0.0)
                    | dict.fromkeys(
                        ["check_rate", "attempts", "nats_per_token", "bits_per_byte"], 0.0
                    )
                )
                names = [f"prompt{index}" for index in range(prompts)]
                of_prompts = {"prompt_id": names, "accuracy": correct, "responses": 1}
                answers.append(pd.DataFrame({**at, **of_prompts}))
    tables = {
        "evaluations": pd.DataFrame(evaluations),
        "prompt_accuracy": pd.concat(answers),
        "runs": pd.DataFrame(runs),
    }
    with duckdb.connect(str(database)) as connection:
        for name, table in tables.items():
            connection.register("rows", table)
            columns = "* REPLACE (settings::JSON AS settings)" if name == "runs" else "*"
            connection.execute(f"CREATE TABLE {name} AS SELECT {columns} FROM rows")
            connection.unregister("rows")
        for name in ("curves", "final", "arms", "mixtures"):
            connection.execute((SQL / f"{name}.sql").read_text())
        add_intervals(connection)


def made_up(folder: Path) -> tuple[Study, Path]:
    """Write config and database of the study; return its settings and the database."""
    study = load_study(config_of(folder), {})
    fake_mixtures(study, folder / "d.duckdb")
    return study, folder / "d.duckdb"


def _ability(task: Task, name: str, start: str | None, step: int) -> tuple[float, float | None]:
    """Say how accurate a policy is at a step, and how often it answers at once."""
    mixtures = {mixture.name: mixture for mixture in task.mixtures}
    if name in mixtures:
        share = mixtures[name].parts["expert"]
        return 1 - 0.29 * share, 1 - share
    begun = (0.22, 0.43) if start == "habits@60" else (0.17, 0.0)
    arm, _, expert = name.partition("-mixture")
    if arm in ENDS and not name.endswith("-realizable"):
        end = ENDS[arm][2 if expert == "-warm" else 0]
        if expert.isdigit():
            end = (COVERAGE[arm][int(expert)], end[1])
    elif name.endswith("-realizable"):
        end = (ENDS[name.removesuffix("-realizable")][1], None)
    else:
        end = OTHERS.get(name, (0.17, None))
    done = 1 - float(np.exp(-step / 25))
    accuracy = begun[0] + (end[0] - begun[0]) * done
    return accuracy, None if end[1] is None else begun[1] + (end[1] - begun[1]) * done
