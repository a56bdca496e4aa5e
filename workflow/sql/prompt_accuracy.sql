-- How often is each prompt answered correctly? One row a prompt of an evaluation.
CREATE TABLE prompt_accuracy AS
SELECT
    task,
    run,
    seed,
    step,
    benchmark,
    sampling,
    prompt_id,
    avg(correct::DOUBLE) AS accuracy,
    count(*) AS responses
FROM samples
GROUP BY ALL
ORDER BY task, benchmark, sampling, run, step, seed, prompt_id;
