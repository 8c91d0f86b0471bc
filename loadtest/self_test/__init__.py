"""What the load tester itself can do, against a server that does next to nothing."""
