"""HTML pages from the templates in workflow/report; what they are given is escaped."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def rendered(template: str, **values: Any) -> str:
    """Render a template as one page that needs no network."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # The first axis comes first.
    return environment.get_template(template).render(**values)
