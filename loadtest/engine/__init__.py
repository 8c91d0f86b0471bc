"""Lets requests leave: open loop or closed loop, in one process or several."""
