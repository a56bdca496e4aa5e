"""The paper's claims as data: config/claims.yaml against what a study measured."""
