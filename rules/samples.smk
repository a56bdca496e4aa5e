# Input: prompts and, for a trained expert, its last checkpoint. Output: its demonstrations.
# Steps: sample the expert's responses to the training prompts (sample), solve them (solve), or
# take them from a file (take).


rule sample:
    input:
        prompts=LAYOUT.prompts(),
        checkpoints=lambda wildcards: checkpoints_of_policy(**wildcards),
    output:
        LAYOUT.samples(),
    log:
        LAYOUT.log("sample", *POLICY),
    benchmark:
        LAYOUT.benchmark("sample", *POLICY)
    wildcard_constraints:
        run=policies_with_weights(),
    priority: 9
    conda:
        CONDA
    threads: threads_of("sample")
    resources:
        **resources_for("sample"),
    params:
        **program(
            "sample",
            **OF_POLICY,
            count=demonstrations_count,
            sampling=demonstrations_sampling,
            generation=STUDY.generation,
        ),
        state=str(LAYOUT.state() / "demonstrations.jsonl"),
        progress=progress("sample"),
        limit=limit,
        unit_rows=unit_rows("sample"),
    message:
        "sample demonstrations of {wildcards.run} for {wildcards.task}, seed {wildcards.seed}"
    shell:
        command(
            PROGRAM,
            "--checkpoints {input.checkpoints} --prompts {input.prompts} --output {output}",
            GOES_ON,
            KEEPS,
            TO_LOG,
        )


rule solve:
    input:
        prompts=LAYOUT.prompts(),
        model=model_in_english,
    output:
        LAYOUT.samples(),
    log:
        LAYOUT.log("solve", *POLICY),
    benchmark:
        LAYOUT.benchmark("solve", *POLICY)
    wildcard_constraints:
        run=experts_of_kind("solver"),
    conda:
        CONDA
    params:
        **program("solve", **OF_POLICY, count=demonstrations_count),
        model=model_option,
    message:
        "solve the training prompts of {wildcards.task} exactly, seed {wildcards.seed}"
    shell:
        command(PROGRAM, "--prompts {input.prompts} --output {output}{params.model}", TO_LOG)


rule take:
    input:
        prompts=LAYOUT.prompts(),
        model=model_of_tokens,
    output:
        LAYOUT.samples(),
    log:
        LAYOUT.log("take", *POLICY),
    benchmark:
        LAYOUT.benchmark("take", *POLICY)
    wildcard_constraints:
        run=experts_of_kind("file"),
    priority: 9
    localrule: True
    conda:
        CONDA
    params:
        **program(
            "take",
            **OF_POLICY,
            count=demonstrations_count,
            place=place_of_responses,
            content=content_of_responses,
        ),
        model=model_option,
    message:
        "take the demonstrations of {wildcards.run} for {wildcards.task}, seed {wildcards.seed}"
    shell:
        command(PROGRAM, "--prompts {input.prompts} --output {output}{params.model}", TO_LOG)
