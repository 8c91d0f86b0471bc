"""Features at scale: the same tasks on a Ray cluster, and what they cost."""
