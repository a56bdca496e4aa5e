-- How long did each training take a token? One row a run and seed that was trained.
-- Parameter: task.
SELECT
    run,
    seed,
    max(device_seconds) / max(tokens) AS seconds
FROM evaluations
WHERE task = $1 AND method NOT IN ('pretrain', 'mixture')
GROUP BY run, seed
HAVING max(tokens) > 0 AND max(device_seconds) > 0
ORDER BY run, seed;
