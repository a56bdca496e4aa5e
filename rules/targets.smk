# What the optional parts of a study add to `all`, and their settings as options of programs.


def flags(settings):
    """Settings as the options of a program; a list of lists repeats its option."""
    words = []
    for key, value in settings.items():
        option = f"--{key.replace('_', '-')}"
        values = value if isinstance(value, list) else [value]
        repeated = key == "expert_weight" or isinstance(values[0], list)
        for group in values if repeated else [values]:
            words += [option, *map(str, group if isinstance(group, list) else [group])]
    return " ".join(words)


def figure(name):
    """The files of a figure."""
    return expand(f"{R}/figures/{name}.{{kind}}", kind=["svg", "vl.json", "html"])


def discrepancy_outputs():
    """Figure 3 and Table 1; a study without comparison has none."""
    if STUDY.discrepancy is None:
        return []
    return figure("figure3") + expand(f"{R}/tables/table1.{{kind}}", kind=["parquet", "md", "tex"])


def theory_outputs():
    """The theory's figures and tables; a study without theory has none."""
    if STUDY.theory is None:
        return []
    names = ["figure4", "theorem1", "theorem2", "theorem5", "horizon"]
    return [*(file for name in names for file in figure(name)), f"{R}/tables/theorem1.md"]
