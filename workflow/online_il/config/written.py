"""Values that YAML 1.1 reads as something else than is written.

`12:00:00` is 43200 to it (base 60), `0720` is 464 (base 8), `no` is false and `2026-11-25` a date.
What it reads as the number that anyone reads is left alone: `1_000`, `.5`, `0x10`.
"""

import re
from contextlib import suppress

import yaml

NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_CLOCK = re.compile(r"[+-]?(?:(\d+)-)?(\d+(?::\d+){1,3}(?:\.\d*)?)")


class Written(str):
    """A value as it stands in the file."""


class Number(Written):
    """A number as it stands in the file."""


def misread(node: yaml.ScalarNode) -> tuple[Written, str, str] | None:
    """Give a value as it stands, what YAML makes of it, and what to write; None where all agree."""
    text, kind = node.value, node.tag.rpartition(":")[2]
    value = yaml.constructor.SafeConstructor().construct_object(node)
    if node.tag in NUMBERS and _number(text) != _number(str(value)):
        shown = f"YAML reads this as {value:.10g}"
        if time := minutes(text):
            return Number(text), f"{shown}, to the base 60", f"for a time write minutes: {time}"
        digits = text.replace("_", "")
        if digits.lstrip("+-").isdecimal():
            shown, value = f"{shown}, to the base 8", int(digits)
        return Number(text), shown, f"write {value} for the number; text needs quotes"
    if kind == "bool" and text.lower() not in ("true", "false"):
        shown = f"YAML reads this as {str(value).lower()}"
        return Written(text), shown, f'write "{text}", in quotes, for the word'
    if kind == "timestamp":
        return Written(text), "YAML reads this as a date", f'write "{text}", in quotes, for text'
    return None


def minutes(text: str) -> str:
    """Write a time of a clock or of Slurm (`1:30`, `1-12:00:00`) in minutes; else empty."""
    found = _CLOCK.fullmatch(text.replace("_", ""))
    if found is None:
        return ""
    parts = [float(part) for part in found[2].split(":")]
    if len(parts) == 2 and found[1] is None:
        first, second = parts
        return (
            f"{60 * first + second:.10g} for {first:g} h {second:g} min, "
            f"{first + second / 60:.10g} for {first:g} min {second:g} s"
        )
    # From the right: seconds, minutes, hours, days; Slurm's days come before hours and minutes.
    if found[1] is not None:
        parts = [float(found[1]), *parts, *([0.0] * (3 - len(parts)))]
    units = (1440.0, 60.0, 1.0, 1 / 60)[-len(parts) :]
    return f"{sum(unit * part for unit, part in zip(units, parts, strict=True)):.10g}"


def _number(text: str) -> str:
    """Write a number as anyone reads it, as text; what is none stays as it is."""
    plain = text.lower().replace("_", "")
    with suppress(ValueError):
        return str(float(int(plain, 0)))
    with suppress(ValueError):
        return str(float(plain.replace(".inf", "inf").replace(".nan", "nan")))
    return text
