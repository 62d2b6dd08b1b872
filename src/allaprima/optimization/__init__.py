"""The slow way: a picture's own pixels move towards the objective."""
