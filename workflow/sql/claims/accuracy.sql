-- How often does each policy answer each prompt of a benchmark? One row a prompt of a checkpoint.
-- Parameters: task, benchmark, sampling.
SELECT run, step, seed, prompt_id, accuracy, responses
FROM prompt_accuracy
WHERE task = $1 AND benchmark = $2 AND sampling = $3
ORDER BY run, step, seed, prompt_id;
