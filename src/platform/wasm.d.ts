// The build lays the bytes of a kernel file into the bundle where one is imported.
declare module "*.wasm" {
  const content: Uint8Array<ArrayBuffer>;
  export default content;
}

// Gzipped, by scripts/build.mjs.
declare module "*.wasm?gzip" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
