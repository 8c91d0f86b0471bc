"""Two reports side by side: what differs, and whether by more than noise."""
