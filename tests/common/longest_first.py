"""The order of all tests: the longest first, so that two workers end at the same time.

A plugin and no conftest.py beside the folders of tests, for that would make each of them a package
of its name, `vllm` among them.
"""

import pytest

LONGEST = ("workflow", "servers")
"""Folders whose files take longest; pytest would collect folders by name."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the order is else what it was."""
    items.sort(key=lambda item: [item.path.parent.name != name for name in LONGEST])
