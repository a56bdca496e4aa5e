-- How well is each passage of a text read? One row a passage of an evaluation; in most studies none.
CREATE TABLE passages (
    task VARCHAR,
    run VARCHAR,
    seed BIGINT,
    step BIGINT,
    benchmark VARCHAR,
    sampling VARCHAR,
    prompt_id VARCHAR,
    n_tokens BIGINT,
    n_bytes BIGINT,
    nats DOUBLE
);
