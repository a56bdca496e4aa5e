-- Where does each run end, and by what was it measured? One row a run, seed and benchmark.
SELECT
    task,
    benchmark,
    run,
    seed,
    step,
    accuracy,
    n_prompts,
    samples_per_prompt,
    prompts_hash,
    sampling_settings::VARCHAR AS sampling_settings,
    code_hash,
    versions::VARCHAR AS versions
FROM evaluations
WHERE sampling = 'policy' AND accuracy IS NOT NULL
QUALIFY step = max(step) OVER (PARTITION BY task, run)
ORDER BY task, benchmark, run, seed;
