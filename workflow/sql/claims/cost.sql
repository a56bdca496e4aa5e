-- What did it take to reach each checkpoint, and from where? Means over seeds. A base starts from
-- nothing; a mixture has a policy a seed, as runs have, and is put with those that start from the base.
-- Parameter: task.
SELECT
    run,
    step,
    any_value(coalesce(start, CASE method WHEN 'mixture' THEN 'base' END)) AS start,
    avg(updates) AS updates,
    avg(samples) AS samples,
    avg(device_seconds) AS "device-seconds"
FROM evaluations
WHERE task = $1
GROUP BY run, step
ORDER BY run, step;
