"""What the numbers in the README come from: each benchmark runs both sides in turn and prints a table."""
