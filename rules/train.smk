# Input: prompts, a base or another run to start from, and what a method learns from an expert: its
# demonstrations (sft), its checkpoints (distill; and its demonstrations, where it learns on those)
# or nothing (grpo, whose run is the realizable expert itself).
# Output: a trained policy. A rule and a program a method, as online_il/methods.py lists them;
# checkpoints along the way are published for evaluation.

# Everything that imitates an expert waits for it, and the longest of the students goes first.
PRIORITY = {"reward": 10, "probabilities": 5, "samples": 0}
LEARNS_FROM = {
    "reward": {},
    "samples": {"demonstrations": demonstrations},
    "probabilities": {
        "expert_checkpoints": checkpoints_of_expert,
        "demonstrations": expert_prefixes,
    },
}
# A param and no part of the shell's text, which is put together anew when the job runs.
FROM_EXPERT = {
    "reward": "",
    "samples": lambda wildcards, input: f"--demonstrations {input.demonstrations}",
    "probabilities": lambda wildcards, input: f"--expert-checkpoints {input.expert_checkpoints}"
    + (f" --demonstrations {input.demonstrations}" if input.demonstrations else ""),
}

for method in METHODS.values():

    rule:
        name:
            method.name
        input:
            **LEARNS_FROM[method.learns_from],
            prompts=LAYOUT.prompts(),
            base=base,
        output:
            record=LAYOUT.record(),
            checkpoints=directory(LAYOUT.checkpoints()),
            training=LAYOUT.training(),
        log:
            LAYOUT.log(method.name, *POLICY),
        benchmark:
            LAYOUT.benchmark(method.name, *POLICY)
        wildcard_constraints:
            run=runs_of_method(method.name),
        priority: PRIORITY[method.learns_from]
        conda:
            CONDA
        threads: threads_of(method.name)
        resources:
            **resources_for(method.name),
            save_minutes=SAVE_MINUTES,
        params:
            **program(
                method.name,
                **OF_POLICY,
                settings=run_settings,
                start=of_run("start"),
                steps=of_run("steps"),
                learning_rate=of_run("learning_rate"),
                keep=published_steps,
                hardware=STUDY.hardware,
                precision=PRECISION,
                expert=of_run("expert"),
                generation=STUDY.generation if method.on_policy else None,
            ),
            launch=launch,
            share=share_beside(method),
            base=lambda wildcards, input: step(input.base, of_run("begins")(wildcards)[1]),
            from_expert=FROM_EXPERT[method.learns_from],
            state=STATE,
            progress=progress(method.name),
            limit=limit,
        message:
            f"train {{wildcards.run}} of {{wildcards.task}} by {method.label}, seed {{wildcards.seed}}"
        shell:
            command(
                LAUNCHED,
                "{params.from_expert}",
                OF_BASE,
                PUBLISHES,
                SAVES + "{params.share}",
                GOES_ON,
                TO_LOG,
            )
