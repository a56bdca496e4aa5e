-- What has each task been evaluated on with the policy's own sampling?
SELECT DISTINCT task, benchmark
FROM evaluations
WHERE sampling = 'policy'
ORDER BY ALL;
