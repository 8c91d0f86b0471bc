"""The closed loop: users of a known world ask a running service, and react by their true tastes."""
