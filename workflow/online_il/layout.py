"""Where things lie: the one place that spells a path below `results/<scale>`.

The rules call `Layout` with wildcards, which are the defaults, and the library with values. It says
what a thing is called and decides no number, so it is no part of the code's hash.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

Seed = int | str
FIGURE_KINDS = ("svg", "vl.json", "html")
DATABASES = ("results", "measurements", "figure2", "figure5", "figure6", "figure7")
"""Databases that hold measurements, the fullest first; from the third on those of one figure."""

ORIGIN = "origin.json"
"""What a model that is not trained here is, beside its one step."""
PARTS = "*.safetensors"
"""The files of a policy's weights: one, or several for a large model of the hub."""
MIXTURE = "mixture.json"
"""The settings of a policy that is a mixture of the policies in its folder `parts`."""

# Within the folder of a run's checkpoints, and of what an unfinished training goes on from.
PUBLISHED, FINISHED, TRAINER = "published", "finished", "trainer"
SEAL, RECORDED = "seal.json", "recorded.json"
TOKENS = "tokens"
"""In the state of a training: what it learns from, as token ids."""
ASIDE = "set-aside-"
"""Begins the name of what was set aside because it belongs to other code, settings or inputs."""


class Policy(NamedTuple):
    """A trained policy: its task, its run and its seed."""

    task: str
    run: str
    seed: int

    def __str__(self) -> str:
        """Name it as its folders and the programs do: `<task>/<run>/seed<k>`."""
        return f"{self.task}/{self.run}/seed{self.seed}"

    @classmethod
    def named(cls, name: str) -> "Policy":
        """Read such a name."""
        task, run, seed = name.split("/")
        return cls(task, run, int(seed.removeprefix("seed")))


@dataclass(frozen=True)
class Layout:
    """The paths of a study's artifacts."""

    results: Path
    """Folder of the results, `results/<scale>`."""

    # ---- data and models ----

    def prompts(self, task: str = "{task}") -> Path:
        """Give the table of a task's prompts."""
        return self.results / "data" / task / "prompts.parquet"

    def further(self, task: str = "{task}") -> Path:
        """Give the table of a task's further test prompts, on which nothing is trained."""
        return self.results / "data" / task / "further.parquet"

    def model(self, task: str = "{task}", model: str = "{model}") -> Path:
        """Give the folder of a model that is not trained here, with its one step."""
        return self.results / "models" / task / model

    def tokenizer(
        self, task: str = "{task}", expert: str = "{expert}", student: str = "{student}"
    ) -> Path:
        """Give the folder of the tokenizer that counts the tokens of a pair."""
        return self.results / "tokenizers" / task / expert / student

    # ---- what a run makes ----

    def run(self, task: str = "{task}", run: str = "{run}", seed: Seed = "{seed}") -> Path:
        """Give the folder of a trained policy."""
        return self.results / "runs" / task / run / f"seed{seed}"

    def record(self, task: str = "{task}", run: str = "{run}", seed: Seed = "{seed}") -> Path:
        """Give the manifest of a trained policy."""
        return self.run(task, run, seed) / "run.json"

    def checkpoints(self, task: str = "{task}", run: str = "{run}", seed: Seed = "{seed}") -> Path:
        """Give the folder of a policy's checkpoints, one `step` each."""
        return self.run(task, run, seed) / "checkpoints"

    def training(self, task: str = "{task}", run: str = "{run}", seed: Seed = "{seed}") -> Path:
        """Give the table of a policy's updates."""
        return self.run(task, run, seed) / "training.parquet"

    def state(self, task: str = "{task}", run: str = "{run}", seed: Seed = "{seed}") -> Path:
        """Give the folder of what an unfinished job goes on from."""
        return self.results / "state" / task / run / f"seed{seed}"

    def samples(
        self,
        task: str = "{task}",
        run: str = "{run}",
        seed: Seed = "{seed}",
        split: str | None = None,
    ) -> Path:
        """Give an expert's demonstrations; with `split` its answers to a benchmark.

        A run's own demonstrations are `fresh`, or the `first` of those that others learn from.
        """
        name = f"seed{seed}.parquet" if split is None else f"seed{seed}.{split}.parquet"
        return self.results / "samples" / task / run / name

    def responses(self, task: str = "{task}", run: str = "{run}", seed: Seed = "{seed}") -> Path:
        """Give the responses to benchmarks of a model that is no run."""
        return self.results / "responses" / task / run / f"seed{seed}.parquet"

    def evaluations(self, task: str = "{task}", run: str = "{run}", seed: Seed = "{seed}") -> Path:
        """Give the folder of a policy's evaluations; `evaluation` gives a file in it."""
        return self.results / "eval" / task / run / f"seed{seed}"

    # ---- what is judged and shown ----

    def database(self, name: str) -> Path:
        """Give a DuckDB database: `results`, which has everything, or a step on the way to it."""
        folder = self.results if name == "results" else self.results / "aggregate"
        return folder / f"{name}.duckdb"

    def discrepancy(
        self, task: str = "{task}", expert: str = "{expert}", student: str = "{student}"
    ) -> Path:
        """Give the comparison of two policies' responses; `pair_of` reads such a path."""
        return self.results / "discrepancy" / task / expert / f"{student}.parquet"

    def divergence(self, task: str = "{task}", run: str = "{run}") -> Path:
        """Give what is measured between a run and the probabilities of its expert."""
        return self.results / "divergence" / task / f"{run}.parquet"

    @property
    def theory(self) -> Path:
        """The folder of the theory's tables; `theory_table` and `theory_panel` give one in it."""
        return self.results / "theory"

    def figure(self, name: str, kind: str) -> Path:
        """Give a figure as one of `FIGURE_KINDS`."""
        return self.results / "figures" / f"{name}.{kind}"

    def table(self, name: str, kind: str) -> Path:
        """Give a table that is written for readers."""
        return self.results / "tables" / f"{name}.{kind}"

    def claims(self, kind: str = "json") -> Path:
        """Give the verdicts."""
        return self.results / f"claims.{kind}"

    @property
    def summary(self) -> Path:
        """The table of final accuracies."""
        return self.results / "summary.txt"

    @property
    def report(self) -> Path:
        """The page with everything."""
        return self.results / "report.html"

    @property
    def live(self) -> Path:
        """The page of a study that is under way, which ends as the report."""
        return self.results / "live.html"

    def tracked(self, tracker: str) -> Path:
        """Give the folder of what a tracker was told."""
        return self.results / "tracking" / tracker

    @property
    def harness(self) -> Path:
        """The folder of evaluations as lm-evaluation-harness writes them."""
        return self.results / "harness"

    # ---- what is planned, checked and said about jobs ----

    def plan(self, kind: str) -> Path:
        """Give what the study costs."""
        return self.results / f"plan.{kind}"

    def preflight(self, task: str | None = None) -> Path:
        """Give the report of the checks of a task, or of the whole study."""
        if task is None:
            return self.results / "preflight.txt"
        return self.results / "preflight" / f"{task}.txt"

    def probe(self, kind: str) -> Path:
        """Give the report of what was tried on a node."""
        return self.results / f"probe.{kind}"

    @property
    def probing(self) -> Path:
        """The folder of what the probe tries and writes: a model, policies, logs of checks."""
        return self.results / "probe"

    def log(self, rule: str, *job: str) -> Path:
        """Give the log of a job; `job` are its wildcards, none of a rule with one job."""
        return self.results / _of_job("logs", rule, *job, kind="log")

    def benchmark(self, rule: str, *job: str) -> Path:
        """Give what a job took, as Snakemake measured it."""
        return self.results / _of_job("benchmarks", rule, *job, kind="tsv")

    def progress(self, rule: str, *job: str) -> Path:
        """Give the file in which a job tells how far it is."""
        return self.results / _of_job("progress", rule, *job, kind="json")

    # ---- where results come from ----

    @property
    def jobs(self) -> Path:
        """The folder of Snakemake's records of what is finished."""
        return self.results / "provenance" / "jobs"

    def code(self, code: str) -> Path:
        """Give the hashes of the modules of some code."""
        return self.results / "provenance" / "code" / f"{code}.json"

    @property
    def accepted(self) -> Path:
        """The code that a person takes for the same as before."""
        return self.results / "provenance" / "accepted.json"

    @property
    def pending(self) -> Path:
        """Give the file of what the last start had still to do, by rule."""
        return self.results / "provenance" / "pending.json"

    @property
    def rule_edges(self) -> Path:
        """Give the file of which rule reads what which other one makes, of what a report shows."""
        return self.results / "provenance" / "rules.json"

    @property
    def asked(self) -> Path:
        """Give the file of what the last start was asked for, of the files that its end shows."""
        return self.results / "provenance" / "asked.json"

    # ---- what is on the disk, of a study that is not finished or of an older config ----

    def existing_prompts(self, task: str) -> list[Path]:
        """List the table of a task's prompts, and that of its further ones where it is there."""
        further = self.further(task)
        return [self.prompts(task), *([further] if further.is_file() else [])]

    def existing_policies(self) -> list[Policy]:
        """List the policies that have a manifest or an evaluation."""
        folders = [*self._existing(self.run("*", "*", "*"))]
        folders += self._existing(self.evaluations("*", "*", "*"))
        names = {"/".join(folder.parts[-3:]) for folder in folders}
        return sorted(Policy.named(name) for name in names if name[-1].isdecimal())

    def existing_states(self) -> list[Path]:
        """List the folders of what unfinished jobs go on from."""
        return self._existing(self.state("*", "*", "*"))

    def existing_samples(self, task: str, run: str) -> list[Path]:
        """List an expert's demonstrations, a table a seed; not its answers to benchmarks."""
        tables = self._existing(self.samples(task, run, "*"))
        return [path for path in tables if "." not in path.stem]

    def existing_own_samples(self, task: str, run: str) -> list[Path]:
        """List the demonstrations that a run has for itself, a table a seed."""
        own = (self.samples(task, run, "*", split) for split in ("fresh", "first"))
        return [path for pattern in own for path in self._existing(pattern)]

    def existing_tables(self) -> list[Path]:
        """List every Parquet file."""
        return sorted(self.results.glob("**/[!.]*.parquet"))

    def existing_records(self) -> list[Path]:
        """List the records of runs and of evaluations, wherever in their folders they lie."""
        runs, evaluations = (self.results / name for name in ("runs", "eval"))
        return sorted([*runs.rglob("run.json"), *evaluations.rglob("[!.]*.json")])

    def existing_runs(self) -> list[Path]:
        """List the manifests of trained policies."""
        return self._existing(self.record("*", "*", "*"))

    def existing_figures(self) -> list[Path]:
        """List the figures, as pages."""
        return self._existing(self.figure("*", "html"))

    def existing_progress(self) -> Iterator[tuple[str, Path]]:
        """Yield the name of each job that told its progress, `<rule> <job>`, and its file."""
        folder = self.progress("*").parent
        for path in sorted(folder.rglob("*.json")):
            yield " ".join(path.relative_to(folder).with_suffix("").parts), path

    def existing_rows(self) -> Iterator[tuple[str, Policy, Path]]:
        """Yield the rule and the policy of each training that told its rows, and their file."""
        folder = self.progress("*").parent
        for path in sorted(folder.glob("*/*/*/seed*.jsonl")):
            rule, *policy = path.relative_to(folder).with_suffix("").parts
            yield rule, Policy.named("/".join(policy)), path

    def existing_benchmarks(self) -> Iterator[tuple[str, Path]]:
        """Yield the rule of each job that was measured, and its file."""
        folder = self.benchmark("*").parent
        for path in sorted(folder.rglob("*.tsv")):
            yield path.relative_to(folder).parts[0].removesuffix(".tsv"), path

    def _existing(self, pattern: Path) -> list[Path]:
        return sorted(self.results.glob(str(pattern.relative_to(self.results))))


def _of_job(folder: str, rule: str, *job: str, kind: str) -> Path:
    *parents, name = (folder, rule, *job)
    return Path(*parents, f"{name}.{kind}")


# ---- within a folder that a program is given ----


def step(checkpoints: Path | str, number: int = 0) -> Path:
    """Give the policy of a step among a run's checkpoints or evaluations."""
    return Path(checkpoints) / f"step{number}"


def parts_of(policy: Path) -> dict[str, Path]:
    """Give the folders of the policies that a mixture is made of, by name; none of another."""
    return {part.name: part for part in sorted(policy.glob("parts/*"))}


def weights_of(policy: Path) -> list[Path]:
    """List the files of a policy's weights: its own, or those of all parts of a mixture."""
    folders = [policy, *parts_of(policy).values()]
    return [path for folder in folders for path in sorted(folder.glob(PARTS))]


def existing_steps(folder: Path) -> list[Path]:
    """List the steps in a folder by their number."""
    return sorted(folder.glob("step*"), key=lambda path: int(path.name.removeprefix("step")))


def evaluation(evaluations: Path, number: int, benchmark: str, sampling: str) -> Path:
    """Give an evaluation's record; its responses lie beside it (`responses_of`)."""
    name = benchmark if sampling == "policy" else f"{benchmark}.{sampling}"
    return step(evaluations, number) / f"{name}.json"


def rows_of(progress: Path) -> Path:
    """Give the rows of a training so far, beside the file of its progress."""
    return progress.with_suffix(".jsonl")


def responses_of(record: Path) -> Path:
    """Give the responses of an evaluation's record."""
    return record.with_suffix(".parquet")


def existing_evaluations(evaluations: Path) -> tuple[list[Path], list[Path]]:
    """List the records and the responses among a policy's evaluations."""
    steps = existing_steps(evaluations)
    records = [path for folder in steps for path in sorted(folder.glob("[!.]*.json"))]
    responses = [path for folder in steps for path in sorted(folder.glob("[!.]*.parquet"))]
    return records, responses


def pair_of(comparison: Path) -> tuple[str, str, str]:
    """Read the task, the expert and the student off the path of a comparison."""
    task, expert, student = comparison.with_suffix("").parts[-3:]
    return task, expert, student


def theory_table(tables: Path, name: str) -> Path:
    """Give one of the theory's tables in their folder."""
    return tables / f"{name}.parquet"


def theory_panel(tables: Path, panel: str) -> Path:
    """Give the table of a panel of Figure 4."""
    return theory_table(tables / "gaussian", panel)


def update(state: Path, number: int) -> Path:
    """Give the sealed checkpoint of an update in the state of a training."""
    return state / f"update-{number:08d}"


def number_of(checkpoint: Path) -> int:
    """Read the number of its update off the name of a sealed checkpoint."""
    return int(checkpoint.name.removeprefix("update-"))


def existing_updates(state: Path) -> list[Path]:
    """List the sealed checkpoints in the state of a training, the oldest first."""
    return sorted(state.glob("update-*"))


def existing_sealed(state: Path) -> list[Path]:
    """List what a training goes on from: the sealed checkpoints, and what is finished."""
    return [*existing_updates(state), *state.glob(FINISHED)]
