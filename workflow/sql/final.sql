-- Where does each run end? The rows of `curves` at the run's last step.
CREATE VIEW final AS
SELECT *
FROM curves
QUALIFY step = max(step) OVER (PARTITION BY task, run)
ORDER BY task, benchmark, sampling, run;
