"""From candidates to an answer: how much each is worth, the distribution they make together, and
what is told of it.
"""
