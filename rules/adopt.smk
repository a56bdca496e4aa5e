# Input: prompts, a model. Output: a task's base that is the model as it is.
# Steps: give it the form of a policy, step 0 of the runs that start from it.


rule adopt:
    input:
        prompts=LAYOUT.prompts(),
        model=LAYOUT.model(model="{run}"),
    output:
        record=LAYOUT.record(),
        checkpoints=directory(LAYOUT.checkpoints()),
        training=LAYOUT.training(),
    log:
        LAYOUT.log("adopt", *POLICY),
    benchmark:
        LAYOUT.benchmark("adopt", *POLICY)
    wildcard_constraints:
        run=names_of_bases(),
        task=tasks_with_base("model", "package", "random", finetuned=False),
    localrule: True
    conda:
        CONDA
    params:
        **program("adopt", **OF_POLICY, settings=base_settings, place=place_of_base),
    message:
        "take a model for the base {wildcards.run} of {wildcards.task}"
    shell:
        command(PROGRAM, "--model {input.model}", PUBLISHES, TO_LOG)
