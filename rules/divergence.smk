# Input: the checkpoints of a run, of its expert and of the base, and their evaluations. Output: KLs,
# log-ratios, Assumption 1 and Theorem 2 of every run that imitates probabilities or could; one table.

import math

MEASURED = [(t.name, run.name) for t in STUDY.tasks for run in STUDY.divergence.students(t)]


def place(task, name, seed):
    """Say where a policy and its evaluations lie; None of what is not evaluated."""
    if name != "base" and (task, name) not in RUNS and not is_mixture(task, name):
        return None
    own = TASKS[task].base.seed if name == "base" else seed
    return {
        "name": name,
        "checkpoints": str(checkpoints_of_policy(task, name, own)),
        "evaluations": str(LAYOUT.evaluations(task, name, own)),
    }


def put_before_each_other(wildcards):
    """Give the policies by role, by seed: of the class is also what the expert holds of it."""
    task, run = wildcards.task, RUNS[wildcards.task, wildcards.run]
    mixture = EXPERTS.get((task, run.expert))
    best = mixture.learnable if mixture else run.expert
    weight = (mixture.parts[best] if best else None) if mixture else 1.0
    names = {"student": run.name, "expert": run.expert, "base": "base", "best": best}
    return {
        seed: {role: place(task, name, seed) for role, name in names.items()}
        | {"log_coverage": math.log(1 / weight) if weight else None}
        for seed in TASKS[task].seeds_of(run)
    }


def folders_of_these(wildcards):
    """List the folders of these policies."""
    roles = [by_role.values() for by_role in put_before_each_other(wildcards).values()]
    places = [one for named in roles for one in named if isinstance(one, dict)]
    return sorted({one[key] for one in places for key in ("checkpoints", "evaluations")})


rule divergence:
    input:
        prompts=LAYOUT.prompts(),
        policies=folders_of_these,
    output:
        LAYOUT.divergence(),
    log:
        LAYOUT.log("divergence", "{task}", "{run}"),
    benchmark:
        LAYOUT.benchmark("divergence", "{task}", "{run}")
    wildcard_constraints:
        run=any_of({run for _, run in MEASURED}),
    conda:
        CONDA
    threads: threads_of("evaluate")
    resources:
        **resources_for("evaluate"),
    params:
        **program(
            "divergence",
            task=attrgetter("task"),
            seeds=lambda wildcards: json.dumps(put_before_each_other(wildcards)),
            responses_to=STUDY.divergence.benchmark,
            quantiles=STUDY.divergence.quantiles,
            density_clip=STUDY.divergence.density_clip,
            forgetting=lambda wildcards: ",".join(
                name for name in TASKS[wildcards.task].benchmarks if name in benchmarks.FORGETTING
            ),
            generation=STUDY.generation,
        ),
    message:
        "measure {wildcards.run} of {wildcards.task} against its expert's probabilities"
    shell:
        command(PROGRAM, "--prompts {input.prompts} --output {output}", TO_LOG)


rule divergences:
    input:
        [LAYOUT.divergence(*measured) for measured in MEASURED],
    output:
        LAYOUT.table("divergence", "parquet"),
        report(
            LAYOUT.table("divergence", "md"),
            caption="../workflow/report/divergence.rst",
            category="Discrepancy",
        ),
    log:
        LAYOUT.log("divergences"),
    benchmark:
        LAYOUT.benchmark("divergences")
    localrule: True
    conda:
        CONDA
    params:
        **program("divergences"),
    message:
        "write the table of divergences"
    shell:
        command(PROGRAM, "--tables {input} --output {output}", TO_LOG)
