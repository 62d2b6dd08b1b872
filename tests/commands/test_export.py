def test_invalid_settings_are_refused(refused):
    refused(["export.py", "format=tflite"], "tflite", "onnx")
    refused(["export.py", "format=onnx", "int8=true"], "onnx", "openvino")
    refused(["export.py", "format=openvino", "int8=no_thanks"], "int8", "true or false")
    refused(["export.py", "style=mona_lisa"], "mona_lisa", "kandinsky")
