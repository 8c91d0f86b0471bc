"""Who is shown what: assignment, statistics, guardrails."""
