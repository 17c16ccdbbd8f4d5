"""The sales database: members, items, what was sold, and who may see it."""
