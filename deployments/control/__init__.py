"""The rollout controller as a process: looks, measures, decides, writes; and what it looks with."""
