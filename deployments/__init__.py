"""The edges: the Ray Serve graph and its HTTP face."""
