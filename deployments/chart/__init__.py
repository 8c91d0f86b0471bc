"""What the Helm chart takes from the program: the schema of its values, and the environment of Ray's pods."""
