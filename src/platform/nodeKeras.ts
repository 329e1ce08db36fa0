// The entry "steepest/keras" under Node, Deno and Bun: with files.
export * from "../keras/index.js";
