"""What a study costs before it is started: GPUs, memory, time, tokens and money."""
