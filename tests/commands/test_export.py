import pytest

from allaprima.commands import export as exports
from allaprima.commands.export import check_page_folder
from allaprima.errors import UserError
from allaprima.media.bundled import TOP

from ..conftest import compose_config


def test_invalid_settings_are_refused(refused):
    refused(["export.py", "format=tflite"], "tflite", "onnx")
    refused(["export.py", "format=onnx", "int8=true"], "onnx", "openvino")
    refused(["export.py", "format=openvino", "int8=no_thanks"], "int8", "true or false")
    refused(["export.py", "style=mona_lisa"], "mona_lisa", "kandinsky")
    refused(["export.py", "format=web", "photos=."], "leave out photos=")


@pytest.mark.parametrize("kind", ["onnx", "openvino", "web"])
def test_unwritable_output_is_noticed_first(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(exports, "not_installed", lambda _: [])
    monkeypatch.setattr(exports, "load_network", lambda *_: pytest.fail("exported"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write in .*file.*: Not a directory"):
        exports.export(compose_config("export", f"format={kind}", f"output={tmp_path / 'file'}"))


def test_pages_of_others_are_kept(refused, tmp_path):
    folder = tmp_path / "exported" / "web"
    check_page_folder(folder)
    (folder / "ort").mkdir(parents=True)
    check_page_folder(folder)  # which an interrupted export leaves
    (folder / "index.html").write_text("<title>My cats</title>")
    refused(["export.py", "format=web"], "exported/web holds files that are not of this page")
    (folder / "index.html").rename(folder / "app.js")
    with pytest.raises(UserError, match="another output="):
        check_page_folder(folder)
    (folder / "index.html").write_bytes((TOP / "src/allaprima/inference/web/index.html").read_bytes())
    check_page_folder(folder)  # an older one of ours
