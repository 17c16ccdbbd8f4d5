"""Membership applications: discover -> intake -> judge -> publish -> record."""
