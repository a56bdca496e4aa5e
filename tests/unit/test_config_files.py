"""Files that hold no study, or an odd one: refused in words, whatever they hold."""

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from configs import ROOT, error, shipped
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from online_il.config import claims
from online_il.config.reading import ConfigError
from online_il.config.settings import Settings
from online_il.config.study import Study, schema
from online_il.studies import load_study as load

MINI = shipped("mini")
RAW = yaml.safe_load(MINI)
BOMB = b"a0: &a0 [1, 2]\n" + b"".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n".encode() for level in range(1, 9)
)
"""Nine lines of YAML that say a hundred million values."""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds nothing"),
        (b"# only a comment\n", "holds nothing"),
        (b"- 1\n- 2\n", "holds a list"),
        (b"mini\n", "holds a str"),
        (b"scale: \xff\n", "not UTF-8 at byte 7; save it as UTF-8"),
        (b"scale: mini\n  engine: [loop\n", "study.yaml:2: not plain YAML"),
        (b"a: 1\n---\nb: 2\n", "study.yaml:2: not plain YAML"),
        (b"a: 1\nscale: !!python/object/apply:os.getcwd []\n", "study.yaml:2: not plain YAML"),
        (b"scale: *absent\n", "study.yaml:1: not plain YAML"),
        (b"scale: !!int x\n", "not plain YAML"),
        (b"scale: !!bool x\n", "not plain YAML"),
        (b"scale: !!timestamp x\n", "not plain YAML"),
        (b"scale: \x00\n", "not plain YAML"),
        (b"[a]: 1\n", "not plain YAML"),
        (b"scale: " + b"[" * 1_000, "not plain YAML"),
        (b"scale: " + b"9" * 5_000, "study.yaml:1: no value has 5000"),
        (b"a: 1\nscale: 0x" + b"9" * 5_000, "study.yaml:2: no value has 5002 characters"),
        (b"tasks: &t [*t]\n", "study.yaml:1: this part holds itself"),
        (b"a: 1\ntasks: &t {seeds: *t}\n", "study.yaml:2: this part holds itself"),
        (BOMB, "more than 100,000 values stand here"),
        (b"scale: [true]\n1: 2\nnull: 3\n", "study.yaml:2: "),
        (b'"a\\nb\\e": 1\n', "study.yaml:1: a\\nb\\u001b = 1: unknown key"),
    ],
)
def test_a_file_that_is_no_study_is_refused_in_words(
    tmp_path: Path, content: bytes, words: str
) -> None:
    assert words in error(tmp_path, content)


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(ConfigError, match=re.escape(str(path))):
            load(path)


def test_an_override_is_checked_and_named_as_such(tmp_path: Path) -> None:
    own = {key: value for key, value in RAW.items() if key != "extends"}
    path = tmp_path / "study.yaml"
    path.write_text(MINI)
    study = load(path, {"evaluation": {"seed": 7}, "scale": "other"})
    assert (study.evaluation.seed, study.scale) == (7, "other")
    assert study.evaluation.policy == load(path).evaluation.policy
    message = error(tmp_path, MINI, {**own, "evaluation": {"seed": -7}, "sclae": "x"})
    assert message.startswith("2 problems")
    assert "command line: evaluation.seed = -7: " in message
    assert "command line: sclae = \"x\": unknown key; did you mean 'scale'?" in message


@pytest.mark.parametrize(
    ("assignments", "reads", "value"),
    [
        ("blocks=2; tasks.countdown.seeds=[1, 2]", lambda s: s.tasks[0].seeds, [1, 2]),
        ("blocks=null; tasks.0.seeds=[3]", lambda s: s.tasks[0].seeds, [3]),
        ("methods.sft.demonstrations = 64", lambda s: s.methods.sft.demonstrations, 64),
        ("tasks.countdown.runs.sft-self.steps=7", lambda s: s.tasks[0].runs[4].steps, 7),
        ("theory=null; scale=x", lambda s: (s.theory, s.scale), (None, "x")),
        (["theory.horizon.labels=9", "save_minutes=2"], lambda s: s.theory.horizon.labels, 9),
        # A key that the file does not have, and one that it has only from above.
        ("evaluation.responses.id=2", lambda s: s.evaluation.responses, {"id": 2}),
        ("tasks.countdown.runs.sft-self.seeds=[12]", lambda s: s.tasks[0].runs[4].seeds, [12]),
    ],
)
def test_set_reaches_every_key(tmp_path: Path, assignments, reads, value) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(MINI)
    assert reads(load(path, {"set": assignments})) == value


def test_set_takes_the_longest_name_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        MINI.replace("name: countdown", "name: count.down").replace(
            "    countdown: {", "    count.down: {"
        )
    )
    one = "blocks=1; "
    assert load(path, {"set": one + "tasks.count.down.seeds=[3]"}).tasks[0].seeds == [3]
    # As errors write a place.
    assert load(path, {"set": one + "tasks[0].seeds=[4]"}).tasks[0].seeds == [4]


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("tasks.countdwn.seeds=[1]", "no row of this list is named here; there are: countdown"),
        ("tasks.countdown.sedes=[1]", "unknown key; did you mean 'seeds'?"),
        ("methods.sft.demonstrations=x", 'methods.sft.demonstrations = "x": '),
        ("save_minutes=1:30", "YAML reads this as 90, to the base 60"),
        ("save_minutes", "write a key and its value"),
        ("=3", "write a key and its value"),
        ("tasks.countdown.seeds=[1", "is not plain YAML"),
        ("scale.deeper.still=1", "command line: scale"),
    ],
)
def test_a_set_that_cannot_be_is_refused_in_words(tmp_path: Path, assignment, words) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(MINI)
    with pytest.raises(ConfigError) as refused:
        load(path, {"set": assignment})
    assert words in str(refused.value) and "command line" in str(refused.value)


PARTS = {ROOT / "config" / name for name in ("claims.yaml", "theory.yaml")}
STUDIES = sorted(set((ROOT / "config").glob("*.yaml")) - PARTS)


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.name)
def test_the_shipped_configs_load(path: Path) -> None:
    assert load(path).scale


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_editors_know_the_schema_of_every_file(path: Path) -> None:
    name = "claims-schema.json" if path.name == "claims.yaml" else "schema.json"
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={name}"


@pytest.mark.parametrize(("name", "made"), [("schema", schema), ("claims-schema", claims.schema)])
def test_the_schemas_are_up_to_date(name: str, made: Callable[[], str]) -> None:
    committed = (ROOT / "config" / f"{name}.json").read_text(encoding="utf-8")
    assert committed == made(), "run workflow/scripts/schema.py --output config"


def nested(kind: object) -> set[type[Settings]]:
    """The settings classes inside a type."""
    if isinstance(kind, type) and issubclass(kind, Settings):
        fields = kind.model_fields.values()
        return {kind}.union(*(nested(field.annotation) for field in fields))
    return set().union(*(nested(part) for part in get_args(kind)))


def test_every_setting_is_described() -> None:
    classes = nested(Study)
    assert len(classes) > 15
    for kind in classes:
        for name, field in kind.model_fields.items():
            description = field.description or ""
            assert description.endswith("."), f"{kind.__name__}.{name} has no description"


def places(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every key and list item."""
    if not isinstance(value, dict | list):
        return [at]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [at, *(path for key, item in items for path in places(item, (*at, key)))][not at :]


ODD = [None, True, -1, 0, 1, 10**30, 0.5, float("nan"), float("inf"), "", "x", "base", "expert"]
ODD += ["12", "solver", [], [1], [1, 1], [[]], [None], ["a", 2], {}, {"a": 1}, {1: 2}, [{}], b"1"]


@hypothesis_settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.sampled_from(places(RAW)), st.sampled_from([*ODD, "delete", "copy"])),
        min_size=1,
        max_size=6,
    )
)
@pytest.mark.slow
def test_no_config_raises_anything_but_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[tuple[str | int, ...], object]]
) -> None:
    raw = deepcopy(RAW)
    for path, value in changes:
        holder: Any = raw
        try:
            for key in path[:-1]:
                holder = holder[key]
            if value == "delete":
                del holder[path[-1]]
            elif value == "copy":
                holder.append(deepcopy(holder[path[-1]]))
            else:
                holder[path[-1]] = deepcopy(value)
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # An earlier change took this place away.
    file = tmp_path_factory.getbasetemp() / "study.yaml"
    file.write_text(yaml.safe_dump(raw, sort_keys=False))
    try:
        study = load(file)
    except ConfigError as caught:
        first = str(caught).splitlines()[0]
        assert first.endswith("nothing was started:") or ": extends" in first or raw == {}
    else:
        for task in study.tasks:
            for run in task.runs:
                assert task.seeds_of(run)
                assert task.checkpoints_of(run)[-1] == run.steps
