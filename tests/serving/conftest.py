import subprocess


def count_processes(folder):
    """How many processes have a folder in their command lines."""
    running = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    return running.count(str(folder))
