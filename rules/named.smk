# Targets by name: each policy of the study, trained and evaluated with all of its seeds. What is asked
# for and is none of the targets ends with the names that may be meant.

from online_il.program.targets import name_what_may_be_meant

NAMED = {}
for policy in policies(TASKS):
    NAMED.setdefault(policy.run, []).append(policy)


# A run that is named as a rule is asked for by its files.
for named in [name for name in NAMED if name != "all" and not workflow.is_rule(name)]:

    rule:
        name:
            named
        input:
            [LAYOUT.evaluations(*policy) for policy in NAMED[named]],
        localrule: True
        message:
            f"{named} is trained and evaluated"


# What people ask for; the others are steps on the way.
WANTED = {one.name for one in workflow.rules if not one.has_wildcards() and "_" not in one.name}
name_what_may_be_meant(
    (WANTED | {"all", "report_page", *NAMED}) - set(lacked(FIGURES)), os.path.relpath(CONFIG)
)
