// The part of the platform's types that is used here; the package @cloudflare/workers-types has all of them.

export interface DurableObjectState {
  readonly storage: {
    get<T>(key: string): Promise<T | undefined>;
    put(key: string, value: Uint8Array): Promise<void>;
    delete(key: string): Promise<boolean>;
    /** Resolves when all that was written is on the disk. */
    sync(): Promise<void>;
  };
  /** No other event reaches the object before `work` is done. */
  blockConcurrencyWhile<T>(work: () => Promise<T>): Promise<T>;
}

export interface DurableObjectNamespace {
  idFromName(name: string): unknown;
  get(id: unknown): { fetch(request: Request): Promise<Response> };
}
