"""When requests are due: a pure function of profile and seed, tested without any clock."""
