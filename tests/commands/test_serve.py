import socket

import pytest

pytest.importorskip("gradio")


def test_invalid_settings_are_refused(refused):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(["serve.py", f"port={taken.getsockname()[1]}"], "port=")
    refused(["serve.py", "port=0"], "port")
    refused(["serve.py", "megabytes=1000"], "500")
