DATA_SETTINGS = {
    "leaves_share": 0.0,
    "size": 32,
    "validation_size": 64,
    "validation_photos": 16,
    "batch_size": 2,
    "workers": 0,
}
