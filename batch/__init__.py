"""What every job shares: configuration, errors, logging, the run lock, the run ledger, atomic publishing."""
