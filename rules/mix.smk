# Input: the checkpoints of the runs and models that a mixture is made of. Output: the mixture as a
# policy: step 0 of a run of its name, which is sampled, evaluated and imitated as any other.


rule mix:
    input:
        prompts=LAYOUT.prompts(),
        policies=lambda wildcards: list(policies_of_mixture(wildcards).values()),
    output:
        record=LAYOUT.record(),
        checkpoints=directory(LAYOUT.checkpoints()),
        training=LAYOUT.training(),
    log:
        LAYOUT.log("mix", *POLICY),
    benchmark:
        LAYOUT.benchmark("mix", *POLICY)
    wildcard_constraints:
        run=experts_of_kind("mixture"),
    priority: 9
    localrule: True
    conda:
        CONDA
    params:
        **program(
            "mix",
            **OF_POLICY,
            settings=lambda wildcards: EXPERTS[wildcards.task, wildcards.run],
            policies=lambda wildcards: json.dumps(policies_of_mixture(wildcards)),
        ),
    message:
        "mix {wildcards.run} of {wildcards.task}, seed {wildcards.seed}"
    shell:
        command(PROGRAM, PUBLISHES, TO_LOG)
