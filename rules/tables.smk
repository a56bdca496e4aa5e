# Which tables the prompts of a task lie in: its first one, and that of further test prompts.


def further_settings(wildcards):
    """Give how a task's further test prompts are drawn."""
    return TASKS[wildcards.task].further


def tables_of_prompts(task):
    """List a task's table of prompts and, where it has further test prompts, theirs."""
    return [LAYOUT.prompts(task), *([LAYOUT.further(task)] if TASKS[task].further else [])]


def table_of_prompts(task, benchmark):
    """Give the table that the prompts of a benchmark lie in."""
    return LAYOUT.further(task) if benchmark in benchmarks.FURTHER else LAYOUT.prompts(task)


def count_of_prompts(wildcards):
    """Count the prompts of a benchmark of generated data."""
    task, benchmark = TASKS[wildcards.task], wildcards.split
    if benchmark in benchmarks.FURTHER:
        return getattr(task.further, benchmark).count
    return getattr(task.data, benchmark)
