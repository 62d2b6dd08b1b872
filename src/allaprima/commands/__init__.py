"""What every command of the project does: reads a configuration, calls the packages below, prints."""
