-- How was each run trained? One row a run and seed.
SELECT task, run, seed, method, expert, settings::VARCHAR AS settings
FROM runs
ORDER BY task, run, seed;
