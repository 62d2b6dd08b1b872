import socket

import pytest

pytest.importorskip("gradio")


def test_invalid_settings_are_refused(refused):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(["serve.py", f"port={taken.getsockname()[1]}"], "port=")
    refused(["serve.py", "port=0"], "port")
    for host in ("203.0.113.1", "no such host", "x" * 300, "é" * 70):
        refused(["serve.py", f"host={host}"], f"host={host}", "give 127.0.0.1")
    refused(["serve.py", "megabytes=1000"], "500")
