"""A study while it is under way: what its trainings have told so far, and who is told of it."""
