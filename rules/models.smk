# Input: the config, the caches of the hub and of packages, folders. Output: models that are not trained
# here, in the results (fetch), and as step 0 of the runs that start from one (adopt).


rule fetch:
    output:
        directory(LAYOUT.model()),
    log:
        LAYOUT.log("fetch", "{task}", "{model}"),
    benchmark:
        LAYOUT.benchmark("fetch", "{task}", "{model}")
    localrule: True
    conda:
        CONDA
    params:
        **program(
            "fetch",
            settings=model_settings,
            place=place_of_model,
            content=content_of_model,
        ),
        template=template_of,
    message:
        "fetch {wildcards.model} of {wildcards.task}"
    shell:
        command(PROGRAM, "--output {output}", TO_LOG)


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
