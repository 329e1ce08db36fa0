// The entry "steepest/images": images as bytes that a training takes. Under Node, src/platform/nodeImages.ts adds files.
export { type Drawable, type Image, type ImageOptions, imageFrom, type RawPixels } from "./image.js";
export type { Fit } from "./resize.js";
