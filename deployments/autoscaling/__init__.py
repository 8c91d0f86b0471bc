"""How many replicas each stage of the graph gets: a policy that sees the whole graph."""
