-- How does accuracy grow with training? One row a checkpoint of a run, over its seeds.
-- Counts of training are means over seeds, since the base; perplexity is their geometric mean.
CREATE VIEW curves AS
SELECT
    task,
    benchmark,
    sampling,
    run,
    any_value(method) AS method,
    any_value(expert) AS expert,
    any_value(start) AS start,
    step,
    count(*) AS seeds,
    any_value(n_prompts) AS n_prompts,
    any_value(samples_per_prompt) AS samples_per_prompt,
    avg(accuracy) AS accuracy,
    min(accuracy) AS accuracy_min,
    max(accuracy) AS accuracy_max,
    avg(updates) AS updates,
    avg(samples) AS samples,
    avg(tokens) AS tokens,
    avg(device_seconds) AS device_seconds,
    avg(format_rate) AS format_rate,
    avg(truncation_rate) AS truncation_rate,
    avg(mean_length) AS mean_length,
    avg(check_rate) AS check_rate,
    avg(attempts) AS attempts,
    avg(direct) AS direct,
    avg(nats_per_token) AS nats_per_token,
    exp(avg(nats_per_token)) AS perplexity,
    avg(bits_per_byte) AS bits_per_byte
FROM evaluations
GROUP BY task, benchmark, sampling, run, step
ORDER BY task, benchmark, sampling, run, step;
