# Input: the config, the caches of the hub and of packages, folders. Output: models that are not trained
# here, in the results.


def model_in_english(wildcards):
    """Give the model that a task in English fine-tunes: answers are counted in its tokens."""
    in_english = TASKS[wildcards.task].data.kind == "english"
    return LAYOUT.model(wildcards.task, "base") if in_english else []


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
