# Input: prompts, and a model but for `pretrain`. Output: a task's base, step 0 of the runs that start from it. Steps:
# train a small one on an imperfect searcher's traces (pretrain) or fine-tune a model (finetune); models.smk takes one as it is.
BASE = ("{task}", "base", "seed{seed}")
OF_BASE_POLICY = {**OF_POLICY, "run": "base"}
BASE_OUTPUT = {
    "record": LAYOUT.record(run="base"),
    "checkpoints": directory(LAYOUT.checkpoints(run="base")),
    "training": LAYOUT.training(run="base"),
}


rule pretrain:
    input:
        prompts=LAYOUT.prompts(),
    output:
        record=LAYOUT.record(),
        checkpoints=directory(LAYOUT.checkpoints()),
        training=LAYOUT.training(),
    log:
        LAYOUT.log("pretrain", *POLICY),
    benchmark:
        LAYOUT.benchmark("pretrain", *POLICY)
    wildcard_constraints:
        run=names_of_bases(),
        task=tasks_with_base("scratch", finetuned=False),
    conda:
        CONDA
    threads: threads_of("pretrain")
    resources:
        **resources_for("pretrain"),
        save_minutes=SAVE_MINUTES,
    params:
        **program("pretrain", **OF_POLICY, settings=pretraining_settings, hardware=STUDY.hardware),
        state=STATE,
        progress=progress("pretrain"),
        limit=limit,
    message:
        "train the base {wildcards.run} of {wildcards.task}, seed {wildcards.seed}"
    shell:
        command(PROGRAM, PUBLISHES, SAVES, GOES_ON, TO_LOG)


rule finetune:
    input:
        prompts=LAYOUT.prompts(),
        model=LAYOUT.model(model="base"),
    output:
        **BASE_OUTPUT,
    log:
        LAYOUT.log("finetune", *BASE),
    benchmark:
        LAYOUT.benchmark("finetune", *BASE)
    wildcard_constraints:
        task=tasks_with_base("model", "package", "random", finetuned=True),
    conda:
        CONDA
    threads: threads_of("finetune")
    resources:
        **resources_for("finetune"),
        save_minutes=SAVE_MINUTES,
    params:
        **program(
            "finetune",
            **OF_BASE_POLICY,
            settings=finetuning_settings,
            origin=origin_of_base,
            hardware=STUDY.hardware,
            precision=PRECISION,
        ),
        launch=launch,
        state=str(LAYOUT.state(run="base")),
        progress=str(LAYOUT.progress("finetune", *BASE)),
        limit=limit,
    message:
        "fine-tune the base of {wildcards.task}, seed {wildcards.seed}"
    shell:
        command(LAUNCHED, "--model {input.model}", PUBLISHES, SAVES, GOES_ON, TO_LOG)
