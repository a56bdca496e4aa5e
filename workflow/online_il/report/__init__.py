"""The report: one page that says what was found, at which scale, and what it rests on."""
