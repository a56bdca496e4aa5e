-- Fills `passages`; DuckDB reads no empty list of files, so that this runs where there are any.
INSERT INTO passages BY NAME
SELECT
    evaluation.task,
    evaluation.run,
    evaluation.seed,
    evaluation.step,
    evaluation.benchmark,
    evaluation.sampling,
    passage.prompt_id,
    passage.n_tokens,
    passage.n_bytes,
    passage.nats
FROM read_parquet(getvariable('passages'), filename = true) AS passage
JOIN evaluations AS evaluation
    ON passage.filename = getvariable('results') || '/' || evaluation.file || '.parquet';
