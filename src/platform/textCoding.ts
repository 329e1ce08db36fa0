// UTF-8 where the host has no TextEncoder and TextDecoder, as jsdom has none. The build puts it in their place in the
// bundle that jsdom takes.

type Encoder = Pick<globalThis.TextEncoder, "encode">;
type Decoder = { decode(bytes: Uint8Array): string };

/** Escapes are the one way to UTF-8 that the language itself has; half a surrogate pair becomes U+FFFD. */
export class OwnTextEncoder implements Encoder {
  encode(text = ""): Uint8Array<ArrayBuffer> {
    const whole = text.replace(/\p{Surrogate}/gu, "\ufffd");
    const bytes = encodeURIComponent(whole).replace(/%(..)/g, (_, code) =>
      String.fromCharCode(Number.parseInt(code, 16)),
    );
    return Uint8Array.from(bytes, (character) => character.charCodeAt(0));
  }
}

/** Of UTF-8 alone; throws for bytes that are none, as with `fatal`. */
export class OwnTextDecoder implements Decoder {
  decode(bytes: Uint8Array): string {
    const escaped = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`);
    return decodeURIComponent(escaped.join("")).replace(/^\ufeff/, "");
  }
}

const TextEncoderHere = globalThis.TextEncoder ?? OwnTextEncoder;
const TextDecoderHere = globalThis.TextDecoder ?? OwnTextDecoder;

export { TextDecoderHere as TextDecoder, TextEncoderHere as TextEncoder };
