"""What the service says of itself in ``/metrics``, read before, during and after a run."""
