-- What was answered: one row a response of an evaluation.
-- An evaluation's responses lie beside it under the same name, and the evaluation says whose they
-- are.
CREATE TABLE samples AS
SELECT
    evaluation.task,
    evaluation.run,
    evaluation.seed,
    evaluation.step,
    evaluation.benchmark,
    evaluation.sampling,
    response.prompt_id,
    response.sample_index::BIGINT AS sample_index,
    response.text,
    response.n_tokens::BIGINT AS n_tokens,
    response.finish_reason,
    response.reward::DOUBLE AS reward,
    response.reward_tinyzero::DOUBLE AS reward_tinyzero,
    response.correct_strict::DOUBLE AS correct_strict,
    response.correct,
    response.format_ok,
    response.share_learnable,
    response.direct
FROM (
    FROM read_parquet(
        getvariable('responses'),
        filename = true,
        union_by_name = true
    )
    UNION ALL BY NAME
    -- No row: it names the columns where no expert is a mixture and all tables lack them.
    SELECT NULL::DOUBLE AS share_learnable, NULL::DOUBLE AS direct WHERE false
) AS response
JOIN evaluations AS evaluation
    ON response.filename = getvariable('results') || '/' || evaluation.file || '.parquet';
