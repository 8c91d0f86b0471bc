"""A bundle is swapped under load: what does it do to the tail?"""
