-- What did it take each seed to reach each checkpoint, and from where? A base starts from nothing; a
-- mixture has a policy a seed, as runs have, and is put with those that start from the base.
-- Parameter: task.
SELECT
    run,
    step,
    seed,
    any_value(coalesce(start, CASE method WHEN 'mixture' THEN 'base' END)) AS start,
    any_value(updates) AS updates,
    any_value(samples) AS samples,
    any_value(device_seconds) AS "device-seconds"
FROM evaluations
WHERE task = $1
GROUP BY run, step, seed
ORDER BY run, step, seed;
