"""Which tests `make test-fast` leaves out."""

import pytest

STARTERS = ("Program", "snakemake", "subprocess", "warm")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of files that start programs: real ones, or the DAG."""
    for item in items:
        if any(hasattr(item.module, name) for name in STARTERS):
            item.add_marker("programs")
