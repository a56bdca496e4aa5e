# Output: demonstrations that one run has for itself (`demonstrations`, `expert_temperature` of a run).
# Steps: sample the expert's last checkpoint anew, for so many that none is seen twice (sample_fresh), or
# take the first of those that all students of an expert without weights share (take_first).


use rule sample as sample_fresh with:
    input:
        prompts=LAYOUT.prompts(),
        checkpoints=checkpoints_of_expert,
    output:
        LAYOUT.samples(split="fresh"),
    log:
        LAYOUT.log("sample_fresh", *POLICY),
    benchmark:
        LAYOUT.benchmark("sample_fresh", *POLICY)
    wildcard_constraints:
        run=any_of({run.name for run in RUNS.values() if run.has_own_samples}),
    priority: 0
    params:
        **program(
            "sample",
            task=attrgetter("task"),
            run=of_run("expert"),
            seed=attrgetter("seed"),
            count=own_count,
            sampling=own_sampling,
            generation=STUDY.generation,
        ),
        state=str(LAYOUT.state() / "demonstrations.jsonl"),
        progress=progress("sample_fresh"),
        limit=limit,
        unit_rows=unit_rows("sample", of_run("expert")),
    message:
        "sample demonstrations for {wildcards.run} of {wildcards.task} alone, seed {wildcards.seed}"


rule take_first:
    input:
        lambda wildcards: LAYOUT.samples(
            wildcards.task, of_run("expert")(wildcards), wildcards.seed
        ),
    output:
        LAYOUT.samples(split="first"),
    log:
        LAYOUT.log("take_first", *POLICY),
    benchmark:
        LAYOUT.benchmark("take_first", *POLICY)
    wildcard_constraints:
        run=any_of({run.name for run in RUNS.values() if run.has_own_samples}),
    localrule: True
    conda:
        CONDA
    params:
        **program("first", count=own_count),
    message:
        "take the first demonstrations for {wildcards.run} of {wildcards.task}, seed {wildcards.seed}"
    shell:
        command(PROGRAM, "--samples {input} --output {output}", TO_LOG)
