"""What options may be. Made by `make docs` from the tables that hold it: edit those."""

BACKBONE_NAMES = ("plain", "efficientnet-lite0", "efficientnet-lite2")
LOSS_NAMES = ("mse", "smooth-l1", "classification", "distillation", "perceptual", "adversarial")
OPTIMIZER_NAMES = ("adam", "adamw")
DEVICES = ("auto", "cpu", "gpu")
IMAGE_FORMATS = ("jpeg", "png", "tiff", "webp", "avif", "gif", "bmp", "jp2", "ppm", "heic")
GRAYS = ("lab", "bt601")
PERCEPTUAL_METRICS = ("lpips", "fid")
EXPORT_FORMATS = ("keras", "litert", "onnx", "page", "saved-model")
EXPORT_SIGNATURES = ("ab", "image")
EXPORT_PRECISIONS = ("float32", "float16", "int8")
FORMAT_ALIASES = {"jpg": "jpeg", "tif": "tiff"}
EXPORTED = {
    ".tflite": "colorcli.exporting.formats.litert",
    ".onnx": "colorcli.exporting.formats.onnx",
}
SUMMARIES = {
    "predict": "Colour photographs and films at full resolution.",
    "prepare": "Turn photographs into training shards.",
    "train": "Train a model on a prepared data set; the same command resumes.",
    "eval": "Judge models on colour photographs, beside doing nothing.",
    "export": "Write the model in another format, checked against the network on photographs.",
    "serve": "Colour what is sent to it: POST /colorize, a page at /, until Ctrl-C or SIGTERM.",
    "models": "List the models there are, say where they are, check their files; add and remove some.",
}
