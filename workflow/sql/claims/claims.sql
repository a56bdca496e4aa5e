-- How did each claim of the paper fare? One row a claim of a task.
-- The types stand here, so that a column that is null in every row has its own type all the same.
CREATE OR REPLACE TABLE claims AS
SELECT unnest(claims, recursive := true)
FROM read_json(
    getvariable('claims'),
    columns = {
        claims: 'STRUCT(
            id VARCHAR, title VARCHAR, family VARCHAR, task VARCHAR, source VARCHAR, kind VARCHAR,
            runs VARCHAR[], statistic VARCHAR, unit VARCHAR, margin DOUBLE, holds VARCHAR,
            verdict VARCHAR,
            effect DOUBLE, low DOUBLE, high DOUBLE, p DOUBLE, p_holm DOUBLE, detectable DOUBLE,
            decided_at BIGINT, n_seeds BIGINT, n_prompts BIGINT, note VARCHAR
        )[]'
    }
);
