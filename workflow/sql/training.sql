-- How did training go? One row an optimizer update of a run; counts are totals since the base.
CREATE TABLE training AS
SELECT
    runs.task,
    runs.run,
    runs.method,
    runs.seed,
    updates."update"::BIGINT AS "update",
    updates.step::BIGINT AS step,
    updates.samples::BIGINT AS samples,
    updates.tokens::BIGINT AS tokens,
    updates.device_seconds::DOUBLE AS device_seconds,
    updates.loss::DOUBLE AS loss,
    updates.learning_rate::DOUBLE AS learning_rate,
    updates.grad_norm::DOUBLE AS grad_norm,
    updates.entropy::DOUBLE AS entropy,
    updates.reward::DOUBLE AS reward,
    updates.kl::DOUBLE AS kl,
    updates.mean_length::DOUBLE AS mean_length,
    updates.truncation_rate::DOUBLE AS truncation_rate,
    updates.reward_spread::DOUBLE AS reward_spread,
    updates.clip_ratio::DOUBLE AS clip_ratio,
    updates.sampler_gap::DOUBLE AS sampler_gap
FROM (
    FROM read_parquet(
        getvariable('training'),
        filename = true,
        union_by_name = true
    )
    UNION ALL BY NAME
    -- No row: it names the columns where all tables are of before November 2026 and lack them.
    SELECT
        NULL::DOUBLE AS reward_spread,
        NULL::DOUBLE AS clip_ratio,
        NULL::DOUBLE AS sampler_gap
    WHERE false
) AS updates
JOIN runs
    ON updates.filename = getvariable('results') || '/' || runs.folder || '/training.parquet'
ORDER BY ALL;
