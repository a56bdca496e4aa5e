-- What did it take to reach each checkpoint, and from where? Means over seeds.
-- Parameter: task.
SELECT
    run,
    step,
    any_value(start) AS start,
    avg(updates) AS updates,
    avg(samples) AS samples,
    avg(device_seconds) AS "device-seconds"
FROM evaluations
WHERE task = $1
GROUP BY run, step
ORDER BY run, step;
