"""Pulling a model: what its name means, what there is of it, and bringing its files here whole and checked."""
