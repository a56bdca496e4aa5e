-- What did it take each seed to reach each checkpoint, and from where?
-- Parameter: task.
SELECT
    run,
    step,
    seed,
    any_value(start) AS start,
    any_value(updates) AS updates,
    any_value(samples) AS samples,
    any_value(device_seconds) AS "device-seconds"
FROM evaluations
WHERE task = $1
GROUP BY run, step, seed
ORDER BY run, step, seed;
