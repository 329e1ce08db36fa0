// Fetches the digits and unpacks them: 9 MB, which would keep the page's own thread.

async function fetchDigits(address: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(address);
  if (!response.ok || response.body === null) throw new Error(`the digits could not be loaded: ${response.status}`);
  const stream = response.body.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

addEventListener("message", async ({ data: address }: MessageEvent<string>) => {
  try {
    const bytes = await fetchDigits(address);
    postMessage(bytes, { transfer: [bytes.buffer] });
  } catch (error) {
    postMessage(error instanceof Error ? error.message : String(error));
  }
});

export {};
