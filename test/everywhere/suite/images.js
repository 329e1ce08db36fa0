// Images as bytes: from raw pixels in every runtime, and in pages and their workers from what those have.
import { expect } from "./checks.js";

/** Three by two, opaque: a canvas keeps these bytes as they are. */
const PIXELS = [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 9, 9, 9, 255, 80, 90, 99, 255, 255, 255, 255, 255];
const [WIDTH, HEIGHT] = [3, 2];
/** By ITU-R BT.601, as PIL's convert("L"). */
const GREY = "76,150,29,9,88,255";

export async function checkImages({ images }, checks) {
  if (images === undefined) return checks.skip("images", "without steepest/images");
  const { imageFrom } = images;
  await checks.check("an image of pixels", () => {
    const grey = imageFrom({ data: PIXELS, width: WIDTH, height: HEIGHT }, { channels: 1 });
    expect(grey.data.join() === GREY, `grey is ${grey.data.join()} instead of ${GREY}`);
  });
  for (const [name, make] of Object.entries(KINDS)) {
    if (globalThis[name] === undefined || !canDraw()) checks.skip(`an image of ${name}`, "this runtime has none");
    else await checks.check(`an image of ${name}`, async () => checkImage(imageFrom, await make()));
  }
  if (globalThis.document === undefined) return checks.skip("an image of a canvas", "there is no document");
  await checks.check("an image of a canvas", () => checkImage(imageFrom, drawn(canvasElement())));
  await checks.check("an image of an <img>", async () => {
    const element = new Image();
    element.src = drawn(canvasElement()).toDataURL();
    await element.decode();
    checkImage(imageFrom, element);
  });
}

/** Deno has such canvases, without 2D. */
const canDraw = () => globalThis.OffscreenCanvas !== undefined && new OffscreenCanvas(1, 1).getContext("2d") !== null;

const KINDS = {
  ImageData: () => imageData(),
  OffscreenCanvas: () => drawn(new OffscreenCanvas(WIDTH, HEIGHT)),
  // Of a Blob of PNG, as a file that a user picks.
  createImageBitmap: async () => {
    const canvas = drawn(new OffscreenCanvas(WIDTH, HEIGHT));
    const blob = await canvas.convertToBlob({ type: "image/png" });
    expect(blob.type === "image/png" && blob.size > 50, `the blob is ${blob.size} bytes of ${blob.type}`);
    return createImageBitmap(blob);
  },
};

const imageData = () => new ImageData(Uint8ClampedArray.from(PIXELS), WIDTH, HEIGHT);

const canvasElement = () => Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });

function drawn(canvas) {
  canvas.getContext("2d").putImageData(imageData(), 0, 0);
  return canvas;
}

function checkImage(imageFrom, given) {
  const { data, width, height, channels } = imageFrom(given);
  expect(`${width},${height},${channels}` === "3,2,4", `it is ${width}, ${height}, ${channels} instead of 3, 2, 4`);
  expect(data.join() === PIXELS.join(), `its bytes are ${data.join()} instead of ${PIXELS.join()}`);
  const grey = imageFrom(given, { channels: 1 });
  expect(grey.data.join() === GREY, `grey is ${grey.data.join()} instead of ${GREY}`);
}
