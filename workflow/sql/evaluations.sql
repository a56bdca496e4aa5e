-- What was measured: one row an evaluation (a checkpoint, a benchmark, a sampling).
-- `file` is the evaluation's path under the results folder, without its extension.
-- Where text is read, and nothing answered, accuracy is null; elsewhere the nats per token are.
-- The types stand here, so that a column that is null in every file has its own type all the same.
-- `start` is what a run was trained from, nothing for what starts from no policy of the study.
CREATE TABLE evaluations AS
SELECT
    * EXCLUDE (filename) REPLACE (
        CASE
            WHEN run != 'base' AND method NOT IN ('pretrain', 'mixture') THEN coalesce(start, 'base')
        END AS start
    ),
    regexp_replace(filename[length(getvariable('results')) + 2:], '\.json$', '') AS file
FROM read_json(
    getvariable('evaluations'),
    filename = true,
    columns = {
        task: 'VARCHAR',
        benchmark: 'VARCHAR',
        run: 'VARCHAR',
        method: 'VARCHAR',
        expert: 'VARCHAR',
        seed: 'BIGINT',
        step: 'BIGINT',
        updates: 'BIGINT',
        samples: 'BIGINT',
        tokens: 'BIGINT',
        device_seconds: 'DOUBLE',
        sampling: 'VARCHAR',
        sampling_settings: 'JSON',
        n_prompts: 'BIGINT',
        samples_per_prompt: 'BIGINT',
        accuracy: 'DOUBLE',
        accuracy_stderr: 'DOUBLE',
        accuracy_strict: 'DOUBLE',
        format_rate: 'DOUBLE',
        truncation_rate: 'DOUBLE',
        mean_length: 'DOUBLE',
        check_rate: 'DOUBLE',
        attempts: 'DOUBLE',
        direct: 'DOUBLE',
        nats_per_token: 'DOUBLE',
        nats_per_token_stderr: 'DOUBLE',
        perplexity: 'DOUBLE',
        bits_per_byte: 'DOUBLE',
        start: 'VARCHAR',
        weights_hash: 'VARCHAR',
        prompts_hash: 'VARCHAR',
        data_revision: 'VARCHAR',
        code_hash: 'VARCHAR',
        versions: 'JSON'
    }
)
ORDER BY task, benchmark, sampling, run, seed, step;
