// Fetches the digits and unpacks them: 9 MB, which would keep the page's own thread.
import { fetchDigits } from "./data.js";

addEventListener("message", async ({ data: address }: MessageEvent<string>) => {
  try {
    const bytes = await fetchDigits(address);
    postMessage(bytes, { transfer: [bytes.buffer] });
  } catch (error) {
    postMessage(error instanceof Error ? error.message : String(error));
  }
});
