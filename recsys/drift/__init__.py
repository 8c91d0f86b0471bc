"""Drift: what comes in, what is served and what people make of it, against what a bundle was made of.

A bundle carries a profile (:mod:`recsys.drift.profile`, made by :func:`recsys.drift.fit.fit_profile`);
windows of time are compared with it (:mod:`recsys.drift.compare`), a policy decides what follows
(:mod:`recsys.drift.policy`), and :mod:`recsys.drift.watch` does so for ever.
"""
