"""Marquee: the recommender as a library, without Ray, a web framework or Kubernetes."""
