"""Sets aside what was begun or finished with other code, settings or inputs; deletes nothing.

It is taken back when a start wants it again, so that undoing an edit goes on from where it was.
Every step is a renaming, in an order in which a kill between two of them loses nothing: what names
the state (a sealed checkpoint, the first line of a file) leaves last and comes back first.
"""

import json
import logging
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from online_il.layout import ASIDE, PUBLISHED, SEAL, existing_sealed
from online_il.program.exhausted import size


def settle(folder: Path, wanted: Collection[str]) -> None:
    """Keep a training's state of the wanted identities in its place, and set all other aside."""
    # The policies in `published` belong to the sealed checkpoints.
    known = {path: _of_checkpoint(path) for path in existing_sealed(folder)}
    others = [path for path, identity in known.items() if identity and identity not in wanted]
    if others:
        place = folder / f"{ASIDE}{known[others[-1]][:8]}"
        mine = any(identity in wanted for identity in known.values())
        _move([*([] if mine else folder.glob(PUBLISHED)), *others], place)
        _say(others[-1], "run", place)
    for place in sorted(folder.glob(f"{ASIDE}*")):
        sealed = existing_sealed(place)
        back = [path for path in sealed if _of_checkpoint(path) in wanted]
        # A kill between two renamings left its policies alone here.
        rest = not sealed and place.name in {f"{ASIDE}{identity[:8]}" for identity in wanted}
        if back or (rest and not (folder / PUBLISHED).exists()):
            _move([*back, *place.glob(PUBLISHED)], folder)
            logging.info("what was set aside in %s is taken back", place)
            if not any(place.iterdir()):
                place.rmdir()


def settle_file(path: Path, wanted: Collection[str]) -> None:
    """Set a file aside whose first line names another identity than the wanted ones."""
    if path.is_file() and (identity := _of_file(path)) and identity not in wanted:
        place = path.with_name(f"{path.stem}.{ASIDE}{identity[:8]}{path.suffix}")
        path.replace(place)
        _say(path, "job", place)
    for place in sorted(path.parent.glob(f"{path.stem}.{ASIDE}*{path.suffix}")):
        if not path.exists() and _of_file(place) in wanted:
            place.replace(path)
            logging.info("what was set aside in %s is taken back", place)


def _move(paths: Sequence[Path], folder: Path) -> None:
    """Move paths to a folder: what is sealed goes last on the way out and first on the way back."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder.name.startswith(ASIDE)
    for path in sorted(paths, key=lambda path: (path.name == PUBLISHED) != out):
        shutil.rmtree(folder / path.name, ignore_errors=True)
        path.rename(folder / path.name)


def _say(path: Path, whose: str, place: Path) -> None:
    files = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
    logging.info(
        "%s is of another %s (code, settings or inputs): not taken, but set aside in %s (%s), in "
        "case they come back; delete that if they will not",
        path,
        whose,
        place,
        size(sum(file.stat().st_size for file in files)),
    )


def _of_checkpoint(path: Path) -> str:
    """Read the identity of a checkpoint; empty where its seal cannot be read."""
    try:
        return str(json.loads((path / SEAL).read_text())["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _of_file(path: Path) -> str:
    """Read the identity of a file; empty where its first line does not say."""
    try:
        with path.open("rb") as stream:
            return str(json.loads(stream.readline())["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
