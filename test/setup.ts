// Node 20 has relaxed SIMD behind a flag; later ones have it without. Set before the first compile, so that
// the suite covers the fast build too.
import { setFlagsFromString } from "node:v8";
import { hasRelaxedSimd } from "../src/engine/features.js";

if (!hasRelaxedSimd()) setFlagsFromString("--experimental-wasm-relaxed-simd");
