"""Section 3: the cloud design of an image platform, as code."""
