"""Letting a person leave: by which names they are known, where, and the proof that nothing is left.

:func:`recsys.privacy.erasure.erase` goes through :mod:`recsys.privacy.places`; :mod:`recsys.privacy.search`
looks whether a byte stayed; :mod:`recsys.privacy.retention` removes what is old of everybody.
"""
