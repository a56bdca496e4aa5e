"""Standard errors, intervals, resamples, effects and speeds: all that is inferred from results.

Letters in the names: N observations, S seeds, P prompts, K checkpoints, R resamples.
"""
