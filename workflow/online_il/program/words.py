"""Words of Snakemake's command line that it takes for something else than was meant."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

CONFIG_FILE = ("--configfile", "--configfiles")
KINDS = {".yaml", ".yml", ".json"}
"""The ends of config files' names: a target may be a file that is there."""


def refuse_swallowed_targets(words: Sequence[str]) -> None:
    """End this process where `--configfile` takes a target for a config file; say how to write it.

    All words up to the next option are files to Snakemake, which shows a traceback for one that is
    not there.
    """
    files: list[str] = []
    taking = False
    for word in words:
        name, is_pair, value = word.partition("=")
        if word.startswith("-"):
            taking = name in CONFIG_FILE and not is_pair  # Of a pair it takes the value alone.
            files = ([value] if is_pair else []) if name in CONFIG_FILE else files
        elif taking:
            files.append(word)
    lost = [word for word in files if not (Path(word).is_file() and Path(word).suffix in KINDS)]
    if not lost:
        return
    rest = [word for word in files if word not in lost]
    if rest:
        # Their own words: without -n, what was to be planned would be started.
        right = shlex.join(["snakemake", *lost, *(word for word in words if word not in lost)])
        sys.exit(
            f"error: --configfile takes {', '.join(lost)} for a config file, and there is none of "
            f"that name; a target stands before it: {right}"
        )
    sys.exit(f"error: --configfile {', '.join(lost)}: there is no such config file (YAML)")
