# Input: the config, the hub's cache. Output: models that are not trained here, in the results.


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
        **program("fetch", settings=model_settings),
        template=template_of,
    message:
        "fetch {wildcards.model} of {wildcards.task}"
    shell:
        command(PROGRAM, "--output {output}", TO_LOG)
