"""The tasks: their prompts, their graders and the miniature world."""
