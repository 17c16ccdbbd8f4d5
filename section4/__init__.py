"""Section 4: COVID-19 figures, from an API into Postgres and onto a dashboard."""
