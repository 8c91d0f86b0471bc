"""SASRec, a Transformer over the history, small and in JAX: the published sequence model to beat."""
