# Small files of every kind with the bytes that PIL reads from them, and images in other sizes by PyTorch in float64.
# python3 test/images/pictures.py > test/images/pictures.json
import base64, io, json
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

HEIGHT, WIDTH = 5, 7
colours = [(x * 37 + y * 91 + c * 53) % 256 for y in range(HEIGHT) for x in range(WIDTH) for c in range(4)]
rgba = Image.frombytes("RGBA", (WIDTH, HEIGHT), bytes(colours))
rgb = rgba.convert("RGB")
grey = rgb.convert("L")


def entry(image, kind, expected=None, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    read = ImageOps.exif_transpose(Image.open(io.BytesIO(file.getvalue())))
    read = (expected or (lambda image: image))(read)
    return {"file": base64.b64encode(file.getvalue()).decode(), "size": [read.height, read.width], "channels": len(read.getbands()), "bytes": list(read.tobytes())}


def oriented(orientation):
    # Blocks of 8 pixels of one colour each, which JPEG keeps nearly as they are.
    blocks = Image.frombytes("RGB", (3, 2), bytes([250, 10, 10, 10, 250, 10, 10, 10, 250, 240, 240, 10, 10, 240, 240, 128, 128, 128]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = entry(blocks.resize((24, 16), Image.NEAREST), "JPEG", quality=95, subsampling=0, exif=exif.tobytes())
    # The middle of each block.
    height, width = image["size"]
    rows = [image["bytes"][3 * (y * width + x) : 3 * (y * width + x) + 3] for y in range(4, height, 8) for x in range(4, width, 8)]
    return {**image, "bytes": sum(rows, [])}


def resized(size):
    x = torch.tensor(list(rgb.tobytes()), dtype=torch.float64).reshape(1, HEIGHT, WIDTH, 3).permute(0, 3, 1, 2)
    y = F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)
    return {"size": size, "bytes": [int(v) for v in torch.floor(y[0].permute(1, 2, 0).reshape(-1) + 0.5)]}


print(json.dumps({
    "pictures": {
        "RGB": entry(rgb, "PNG"),
        "RGBA": entry(rgba, "PNG"),
        "grey": entry(grey, "PNG"),
        "grey and alpha": entry(rgba.convert("LA"), "PNG"),
        "one bit": entry(grey.convert("1"), "PNG", lambda image: image.convert("L")),
        "palette of 3": entry(rgb.quantize(3), "PNG", lambda image: image.convert("RGB"), bits=2),
        "palette of 11": entry(rgb.quantize(11), "PNG", lambda image: image.convert("RGB"), bits=4),
        "palette of 35": entry(rgb.quantize(35), "PNG", lambda image: image.convert("RGB")),
    },
    "oriented": [oriented(orientation) for orientation in range(1, 9)],
    "rgb": list(rgb.tobytes()),
    "grey": list(grey.tobytes()),
    "resized": [resized(size) for size in [[3, 4], [8, 11], [5, 2], [1, 1]]],
}, separators=(",", ":")))
