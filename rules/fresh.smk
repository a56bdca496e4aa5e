# Input: prompts and the expert's last checkpoint. Output: demonstrations that one run has for itself,
# so many that it sees none twice (`demonstrations` of a run).


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
        run=any_of({run.name for run in RUNS.values() if run.demonstrations}),
    priority: 0
    params:
        **program(
            "sample",
            task=attrgetter("task"),
            run=of_run("expert"),
            seed=attrgetter("seed"),
            count=of_run("demonstrations"),
            sampling=demonstrations_sampling,
            generation=STUDY.generation,
        ),
        state=str(LAYOUT.state() / "demonstrations.jsonl"),
        progress=progress("sample_fresh"),
        limit=limit,
        unit_rows=unit_rows("sample", of_run("expert")),
    message:
        "sample demonstrations for {wildcards.run} of {wildcards.task} alone, seed {wildcards.seed}"
