import { SteepestError } from "../engine/errors.js";

/** Bytes that break the rules of their file format, or values that the format cannot hold. */
export class FormatError extends SteepestError {
  protected static override readonly steepestKind = "FormatError";
  override name = "FormatError";
}
