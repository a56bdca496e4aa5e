-- How does each run imitate? One row a run: whom, from what start, and the settings of its method
-- that say what is learned; a setting that a method has not, or an older record lacks, is null.
CREATE VIEW arms AS
SELECT
    task,
    run,
    any_value(method) AS method,
    any_value(expert) AS expert,
    any_value(coalesce(start, 'base')) AS start,
    any_value(settings ->> 'divergence') AS divergence,
    any_value(settings ->> 'prefixes') AS prefixes,
    any_value(settings ->> 'level') AS level,
    any_value(settings ->> 'filter') AS filter,
    any_value((settings ->> 'demonstrations')::BIGINT) AS demonstrations
FROM runs
WHERE expert IS NOT NULL
GROUP BY task, run
ORDER BY task, run;
