"""When does online imitation learning help? The library behind the workflow."""

__version__ = "0.1.0"
