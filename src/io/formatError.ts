/** Bytes that break the rules of their file format, or arrays that the format cannot hold. */
export class FormatError extends Error {
  override name = "FormatError";
}
