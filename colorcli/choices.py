"""What options may be. Made by `make docs` from the tables that hold it: edit those."""

BACKBONE_NAMES = ("plain", "efficientnet-lite0", "efficientnet-lite2")
LOSS_NAMES = ("mse", "smooth-l1", "classification", "distillation", "perceptual", "adversarial")
OPTIMIZER_NAMES = ("adam", "adamw")
DEVICES = ("auto", "cpu", "gpu")
EXPORTED_SUFFIXES = (".tflite", ".onnx")
IMAGE_FORMATS = ("jpeg", "png", "tiff", "webp", "avif", "gif", "bmp", "jp2", "ppm", "heic")
GRAYS = ("lab", "bt601")
PERCEPTUAL_METRICS = ("lpips", "fid")
EXPORT_FORMATS = ("keras", "litert", "onnx", "page", "saved-model")
EXPORT_SIGNATURES = ("ab", "image")
EXPORT_PRECISIONS = ("float32", "float16", "int8")
FORMAT_ALIASES = {"jpg": "jpeg", "tif": "tiff"}
