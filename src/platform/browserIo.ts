// The entry "steepest/io" where there are no files: the formats, bytes in and out.
export * from "../io/index.js";
export { indexedDbStore, opfsStore } from "./webStores.js";
