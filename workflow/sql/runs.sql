-- Which policies were trained, from what and how? One row a run and seed.
-- `folder` is the run's folder under the results folder.
CREATE TABLE runs AS
SELECT
    * EXCLUDE (filename),
    regexp_replace(filename[length(getvariable('results')) + 2:], '/run\.json$', '') AS folder
FROM read_json(
    getvariable('runs'),
    filename = true,
    columns = {
        task: 'VARCHAR',
        run: 'VARCHAR',
        method: 'VARCHAR',
        expert: 'VARCHAR',
        start: 'VARCHAR',
        seed: 'BIGINT',
        settings: 'JSON',
        checkpoints: 'STRUCT(
            step BIGINT, updates BIGINT, samples BIGINT, tokens BIGINT, device_seconds DOUBLE,
            weights_hash VARCHAR
        )[]',
        initial_weights_hash: 'VARCHAR',
        expert_hash: 'VARCHAR',
        prompts_hash: 'VARCHAR',
        code_hash: 'VARCHAR',
        versions: 'JSON'
    }
)
ORDER BY task, run, seed;
