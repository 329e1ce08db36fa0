// A file for what does not fit in memory, which no end of the process leaves behind.
import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explain, quote } from "../platform/files.js";

/**
 * Bytes are added at its end, and read anywhere. It loses its name as soon as it is open: the system removes it with the last handle,
 * whatever ends the process. Where an open file cannot lose its name, `close` removes it.
 */
export class TemporaryFile {
  readonly #path = join(tmpdir(), `steepest-${randomUUID()}.tmp`);
  readonly #handle: number;
  #isNamed = true;
  #isClosed = false;
  #bytes = 0;

  constructor() {
    // Nobody else may read what is in a user's table.
    this.#handle = this.#trying("write", () => openSync(this.#path, "wx+", 0o600));
    this.#unlink();
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(bytes: Uint8Array): void {
    this.#trying("write", () => {
      for (let at = 0; at < bytes.length; ) {
        const written = writeSync(this.#handle, bytes, at, bytes.length - at, this.#bytes);
        if (written === 0) throw Object.assign(new Error("the disk takes no more bytes"), { code: "ENOSPC" });
        at += written;
        this.#bytes += written;
      }
    });
  }

  /** Fills `bytes` with what is in the file from a place on. */
  read(bytes: Uint8Array, from: number): void {
    this.#trying("read", () => {
      for (let at = 0; at < bytes.length; ) {
        const read = readSync(this.#handle, bytes, at, bytes.length - at, from + at);
        if (read === 0) throw new Error("it ends too early: another program has changed it");
        at += read;
      }
    });
  }

  /** Once or more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#handle);
    if (this.#isNamed) this.#unlink();
  }

  #unlink(): void {
    try {
      unlinkSync(this.#path);
      this.#isNamed = false;
    } catch {
      // It is removed when it is closed.
    }
  }

  #trying<T>(verb: string, action: () => T): T {
    try {
      return action();
    } catch (cause) {
      const hint = "; the variable TMPDIR says where temporary files go (on Windows TEMP)";
      throw explain(`cannot ${verb} temporary file ${quote(this.#path)}`, cause, "make its folder first", hint);
    }
  }
}
