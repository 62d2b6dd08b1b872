"""Feed-forward networks: photographs to pastiches."""
