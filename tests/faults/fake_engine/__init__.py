"""An engine that can be told to misbehave: a child program, the adapter in front of it, and a Parley that serves with it.

Started, watched and restarted as every worker is, so that a test of a fault tests the machinery that ships. What it truly
generated stands in a journal of its own, which no part of Parley writes.
"""
