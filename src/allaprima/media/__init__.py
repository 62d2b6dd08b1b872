"""Pictures and files: reading, writing, fetching."""
