"""What of the code counts: in this project's own library, word by word and number by number."""

import ast
import shutil
from pathlib import Path

import pytest

from online_il import provenance
from online_il.speech import REFUSING, is_uncounted, without_speech

pytestmark = pytest.mark.slow

LIBRARY = Path(provenance.__file__).parent
SCRIPTS = LIBRARY.parent / "scripts"
COUNTED = sorted(
    path
    for path in [*LIBRARY.rglob("*.py"), *SCRIPTS.glob("*.py")]
    if not is_uncounted(".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts))
)
TRAINING = {"pretrain.py", "finetune.py", "sft.py", "grpo.py", "distill.py"}
ON_POLICY = {"grpo.py", "distill.py"}


def counted(text: str) -> str:
    return ast.dump(without_speech(ast.parse(text)))


# ---- every module of this project ----


def spoken(tree: ast.Module) -> list[ast.Constant]:
    """The texts of a module that a person reads and no number depends on."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            found += [a for a in node.exc.args if isinstance(a, ast.Constant | ast.JoinedStr)]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = ast.unparse(node.value.func)
            if function in ("log", "print") or function.startswith("logging."):
                found += [a for a in node.value.args if isinstance(a, ast.Constant | ast.JoinedStr)]
        elif isinstance(node, ast.Call):
            owner = ast.unparse(node.func).rpartition(".")[2]
            if owner in ("Field", "add_argument"):
                found += [k.value for k in node.keywords if k.arg in ("description", "help")]
    inside = [part for node in found for part in ast.walk(node)]
    return [node for node in inside if isinstance(node, ast.Constant) and _is_text(node)]


def _is_text(node: ast.Constant) -> bool:
    return isinstance(node.value, str)


def name(path: Path) -> str:
    return str(path.relative_to(LIBRARY.parent))


@pytest.mark.parametrize("path", COUNTED, ids=name)
def test_another_word_in_what_a_module_says_leaves_its_hash(path):
    text = path.read_text()
    tree = ast.parse(text)
    for node in spoken(tree):
        node.value += " and another word"
    assert counted(ast.unparse(tree)) == counted(text)


def test_what_is_said_is_found_in_many_modules():
    texts = [len(spoken(ast.parse(path.read_text()))) for path in COUNTED]
    assert sum(texts) > 400 and sum(count > 0 for count in texts) > 60


def on_the_way_to_an_error(tree: ast.Module) -> set[int]:
    """The nodes of all blocks that end with an error, of checks of settings, of what is said."""
    said: list[ast.AST] = []
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[-1], ast.Raise):
            said += body
        checks = isinstance(node, ast.FunctionDef) and node.name in REFUSING
        if checks or isinstance(node, ast.Expr | ast.JoinedStr):
            said.append(node)
    return {id(part) for node in said for part in ast.walk(node)}


@pytest.mark.parametrize("path", COUNTED, ids=name)
def test_another_number_in_what_a_module_computes_changes_its_hash(path):
    text = path.read_text()
    whole, tree = counted(text), ast.parse(text)
    aside = on_the_way_to_an_error(tree)
    numbers = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and type(node.value) in (int, float)
        and id(node) not in aside
    ]
    for node in numbers[:: max(1, len(numbers) // 3)]:
        before, node.value = node.value, node.value + 7
        assert counted(ast.unparse(tree)) != whole, f"{path.name}, line {node.lineno}"
        node.value = before


# ---- forms of speech ----

MODULE = """
import logging
from online_il.errors import InputError
from online_il.program.cli import log

class Settings(BaseModel):
    rate: float = Field(0.1, gt=0, description="How fast.")

def train(rows, rng, path):
    total = sum(row.weight for row in rows)
    if total > 10:
        raise InputError(f"{path}: {total} is too much; lower it")
    logging.info("training on %d rows", len(rows))
    log("begins", rows=len(rows), total=f"{total:.2f}")
    try:
        return rng.choice(rows)
    except IndexError as error:
        text = "no row" + " in it"
        error.add_note("see the log")
        raise Failed(text, retry=True, code=3) from error
"""
WORDS = [
    ("is too much; lower it", "is too big"),
    ("{path}: {total} is", "{total} of {path} in {len(rows)} rows is"),
    ('"training on %d rows", len(rows)', '"%s: %d rows", path, len(rows)'),
    ('    logging.info("training on %d rows", len(rows))\n', ""),
    ("import logging\n", ""),
    ('log("begins", rows=len(rows)', 'log("starts", n=len(rows), more=path.name'),
    ("import log\n", "import log, main\n"),
    ("no row", "not one row"),
    (' + " in it"', ""),
    ("see the log", "see above"),
    ('        error.add_note("see the log")\n', ""),
    ('description="How fast."', 'description="The speed."'),
    (', description="How fast."', ""),
    ("    try:\n", "    if total > 5:\n        logging.warning('much: %s', total)\n    try:\n"),
    ("    try:\n", "    assert total, 'none'\n    try:\n"),
]
DEEDS = [
    ("total > 10", "total > 11"),
    ("total > 10", "total >= 10"),
    ("Field(0.1,", "Field(0.2,"),
    ("gt=0", "ge=0"),
    ("row.weight", "row.size"),
    ("retry=True", "retry=False"),
    ("code=3", "code=4"),
    ("raise InputError(", "raise OSError("),
    ("except IndexError", "except LookupError"),
    ("rng.choice(rows)", "rng.choice(rows[1:])"),
    # A text may not draw from the generator unseen.
    ("rows=len(rows), total", "rows=rng.random(), total"),
    ("{path}: {total} is", "{path}: {rng.random()} is"),
    ('log("begins", rows=len(rows)', 'log("begins", rows=(rows := rows[1:])'),
]


@pytest.mark.parametrize(("old", "new"), WORDS[:-1])
def test_words_do_not_count(old, new):
    assert MODULE.count(old) == 1
    assert counted(MODULE.replace(old, new)) == counted(MODULE)


def test_the_text_of_an_assertion_does_not_count_and_its_condition_does():
    asserted = MODULE.replace(*WORDS[-1])
    assert counted(asserted.replace("'none'", "'nothing'")) == counted(asserted)
    assert counted(asserted) != counted(MODULE)


@pytest.mark.parametrize(("old", "new"), DEEDS)
def test_deeds_count(old, new):
    assert MODULE.count(old) == 1
    assert counted(MODULE.replace(old, new)) != counted(MODULE)


def test_a_text_that_decides_something_counts():
    text = "def kind(error):\n    found = 'busy'\n    return found in str(error)\n"
    assert counted(text.replace("busy", "idle")) != counted(text)
    both = "def f(x):\n    text = 'busy'\n    if x in text:\n        raise ValueError(text)\n"
    assert counted(both.replace("busy", "idle")) != counted(both)


def test_an_error_that_is_made_and_not_raised_yet_speaks_too():
    text = """
class Failed(Exception):
    pass

def refusal(code):
    return Failed(f"refused with {code}", again=code > 499)
"""
    assert counted(text.replace("refused with", "it was refused:")) == counted(text)
    assert counted(text.replace("499", "500")) != counted(text)
    assert counted(text.replace("Failed(f", "str(f")) != counted(text)


def test_a_private_constant_counts_where_it_is_read_for_more_than_an_error():
    text = "_REMEDY = 'call ' + 'us'\n_LIMIT = 3\nRATE = 1\n\n\ndef f(x):\n    return x\n"
    text += "\n\ndef g(x):\n    raise InputError(f'{x} > {_LIMIT}: {_REMEDY}')\n"
    assert counted(text.replace("call ", "mail ").replace("= 3", "= 4")) == counted(text)
    assert counted(text.replace("RATE = 1", "RATE = 2")) != counted(text)
    used = text.replace("return x", "return x + _LIMIT")
    assert counted(used.replace("= 3", "= 4")) != counted(used)
    drawn = text.replace("'call ' + 'us'", "rng.random()")
    assert counted(drawn) != counted(text)


def test_no_module_reads_a_private_constant_of_another():
    for path in COUNTED:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("online_il"):
                assert not any(alias.name.startswith("_") for alias in node.names), path


def test_a_field_of_a_class_in_a_function_counts():
    text = "def f():\n    class Inner:\n        rate = 1\n    return Inner\n"
    assert counted(text.replace("1", "2")) != counted(text)


# ---- the experiment with all scripts ----


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the library and the scripts, in place of the real ones."""
    folder = tmp_path_factory.mktemp("copy")
    for source in (LIBRARY, SCRIPTS):
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "LIBRARY", folder / "online_il")
        # Files change here while the process runs.
        for name in ("_hash", "_imported"):
            patch.setattr(provenance, name, getattr(provenance, name).__wrapped__)
        yield folder


def hashes(project: Path) -> dict[str, str]:
    return {path.name: provenance.code_hash(path) for path in (project / "scripts").glob("*.py")}


@pytest.fixture(scope="module")
def before(project) -> dict[str, str]:
    return hashes(project)


def changed(project: Path, before: dict[str, str], edits: dict[str, tuple[str, str]]) -> set[str]:
    """The scripts whose hash changes with an edit in each of some modules."""
    whole = {name: (project / "online_il" / name).read_text() for name in edits}
    for name, (old, new) in edits.items():
        assert old in whole[name], f"{name} has no {old!r} any more"
        (project / "online_il" / name).write_text(whole[name].replace(old, new, 1))
    try:
        after = hashes(project)
    finally:
        for name, text in whole.items():
            (project / "online_il" / name).write_text(text)
    return {name for name in before if before[name] != after[name]}


def test_no_word_retrains_anything(project, before):
    assert len(before) > 30
    words = {
        "program/cli.py": ("the same command goes on", "the very same command goes on"),
        "program/lock.py": ("another process still makes", "another process yet makes"),
        "program/exhausted.py": ("no memory is left", "there is no memory left"),
        "program/progress.py": ('"unit": unit', '"unit": unit, "more": 1'),
        "program/environment.py": ("4000000000", "4000000001"),
        "records.py": ("Length, tokens.", "Length in tokens."),
        "errors.py": ("class InputError(ValueError)", "class InputError(Exception)"),
        "files.py": ("fsync(handle)", "fdatasync(handle)"),
        "models.py": ("no weights (safetensors) in it", "no weights in it"),
        "training/common.py": ("lower the learning rate", "turn the learning rate down"),
        "ends.py": ("set eos_token_id in the generation", "write eos_token_id into the generation"),
        "tasks/countdown.py": ("no reachable target: widen", "no target is reachable: widen"),
        "generation/endpoint.py": ("does not answer:", "answers nothing:"),
        "training/resume.py": ("going on after update", "continuing after update"),
        "config/grpo.py": (
            "if self.rollouts % self.updates_per_step:",
            "if self.rollouts % self.updates_per_step or self.rollouts < 4:",
        ),
        "config/sft.py": ("Expert samples, one a", "Samples of the expert, one a"),
        "config/problem.py": ("this is listed twice", "this stands here twice"),
        "__init__.py": ('__version__ = "', '__version__ = "9.'),
    }
    assert changed(project, before, words) == set()


def test_a_chart_draws_and_trains_nothing(project, before):
    drawn = changed(
        project, before, {"charts/curves.py": ("import altair as alt", "import altair as alt, abc")}
    )
    assert "draw.py" in drawn
    assert not drawn & {*TRAINING, "sample.py", "evaluate.py", "solve.py", "ask.py", "prompts.py"}


@pytest.mark.parametrize(
    ("module", "edit", "trained"),
    [
        ("training/grpo.py", ('loss_type="grpo"', 'loss_type="dapo"'), {"grpo.py"}),
        ("training/distill.py", ("top_p=1.0", "top_p=0.9"), {"distill.py"}),
        (
            "training/supervised.py",
            ('loss_type="nll"', 'loss_type="dft"'),
            {"pretrain.py", "finetune.py", "sft.py"},
        ),
        ("training/common.py", ('"adam_beta2": 0.999', '"adam_beta2": 0.99'), TRAINING),
        ("training/common.py", ('"seed": seed', '"seed": seed + 1'), TRAINING),
        (
            "training/prompts.py",
            ("rng = random.Random(seed)", "rng = random.Random(seed + 1)"),
            {"grpo.py", "distill.py"},
        ),
        # Rollouts are drawn by the decode loop, rewards given by the graders.
        (
            "generation/decode.py",
            ("import numpy as np", "import numpy as np, math"),
            {"grpo.py", "distill.py"},
        ),
        (
            "tasks/countdown_scores.py",
            ("- target) < 1e-5", "- target) < 1e-4"),
            {"grpo.py"},
        ),
        ("grading.py", ("(known)).reward", "(known)).reward / 2"), {"grpo.py"}),
        # A method's settings, and the table of methods, which no program that trains reads.
        (
            "config/grpo.py",
            ("rollouts_per_prompt: int = Field(gt=1", "x: int = Field(gt=1"),
            {"grpo.py"},
        ),
        ("config/sft.py", ("demonstrations: int = Field(gt=0", "x: int = Field(gt=0"), {"sft.py"}),
        ("config/distill.py", ("temperature: float = Field(", "x: float = Field("), {"distill.py"}),
        ("methods.py", ('"samples", (1, 0)', '"reward", (1, 1)'), set()),
    ],
)
def test_what_decides_a_number_retrains_what_depends_on_it_and_nothing_else(
    project, before, module, edit, trained
):
    assert changed(project, before, {module: edit}) & TRAINING == trained
