-- Which runs trained a low-rank adapter in the place of all weights, and of which rank? One row a run.
SELECT
    task,
    run,
    any_value((settings ->> '$.lora.rank')::BIGINT) AS rank
FROM runs
WHERE (settings ->> '$.lora.rank') IS NOT NULL
GROUP BY task, run
ORDER BY task, run;
