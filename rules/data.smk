# Input: the config. Output: one table of prompts a task, all splits in it; a second one of further test
# prompts, on which nothing is trained, where a task asks for them.
# Steps: draw the miniature's instances (prompts), or read the rows of public data sets, or of data made
# here that have what those have (convert); draw instances that are none of these (further).


rule prompts:
    output:
        LAYOUT.prompts(),
    log:
        LAYOUT.log("prompts", "{task}"),
    benchmark:
        LAYOUT.benchmark("prompts", "{task}")
    wildcard_constraints:
        task=tasks_with_data("miniature"),
    localrule: True
    conda:
        CONDA
    params:
        **program("prompts", task=OF_POLICY["task"], settings=data_settings),
    message:
        "draw the prompts of {wildcards.task}"
    shell:
        command(PROGRAM, "--output {output}", TO_LOG)


# A rule that inherits is local only where it says so itself.
use rule prompts as convert with:
    log:
        LAYOUT.log("convert", "{task}"),
    benchmark:
        LAYOUT.benchmark("convert", "{task}")
    wildcard_constraints:
        task=tasks_with_data("countdown", "english", "gsm8k", "deepscaler", "aime"),
    localrule: True
    params:
        **program(
            "convert",
            task=OF_POLICY["task"],
            settings=data_settings,
            kind=lambda wildcards: data_settings(wildcards).kind,
            texts=texts_of,
        ),
    message:
        "make the prompts of {wildcards.task}"


rule further:
    input:
        LAYOUT.prompts(),
    output:
        LAYOUT.further(),
    log:
        LAYOUT.log("further", "{task}"),
    benchmark:
        LAYOUT.benchmark("further", "{task}")
    wildcard_constraints:
        task=any_of({name for name, task in TASKS.items() if task.further}),
    localrule: True
    conda:
        CONDA
    params:
        **program(
            "further",
            task=OF_POLICY["task"],
            data=data_settings,
            settings=further_settings,
        ),
    message:
        "draw further test prompts of {wildcards.task}"
    shell:
        command(PROGRAM, "--prompts {input} --output {output}", TO_LOG)
