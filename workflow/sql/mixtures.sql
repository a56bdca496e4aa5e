-- What of each mixture can a student represent? One row a mixture: its learnable part, and one over
-- that part's weight, the coverage coefficient C (paper, Section 3.2); null without such a part.
CREATE VIEW mixtures AS
SELECT
    task,
    run AS mixture,
    any_value(settings ->> 'learnable') AS learnable,
    any_value(
        1 / (settings -> 'parts' ->> (settings ->> 'learnable'))::DOUBLE
    ) AS coverage
FROM runs
WHERE method = 'mixture'
GROUP BY task, run
ORDER BY task, run;
