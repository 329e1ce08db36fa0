// The host's clock and timers, taken when this module is loaded, so that a test which replaces them later (fake timers)
// does not stop a training. If some were replaced before, the others are used.

/** Whether a function is a test framework's fake: sinon's (vitest, jest), jest's older ones, or node:test's. */
function isFake(timer: object): boolean {
  return "clock" in timer || "_isMockFunction" in timer || (timer as { name: string }).name.startsWith("bound ");
}

function genuine<T extends object>(timer: T | undefined): T | undefined {
  return timer === undefined || isFake(timer) ? undefined : timer;
}

const setImmediateHere = genuine(typeof setImmediate === "undefined" ? undefined : setImmediate);
const setTimeoutHere = genuine(typeof setTimeout === "undefined" ? undefined : setTimeout);
const clearTimeoutHere = typeof clearTimeout === "undefined" ? undefined : clearTimeout;
const MessageChannelHere = typeof MessageChannel === "undefined" ? undefined : MessageChannel;
const clock = globalThis.performance;
const nowHere = clock.now;
const isGenuine = nowHere.name === "now";

/** The clock, in milliseconds, under its usual name. */
export const performance = {
  now(): number {
    // A clock that was replaced before may be restored later.
    return isGenuine ? nowHere.call(clock) : globalThis.performance.now();
  },
};

/** The date and time, as ISO 8601 has it. */
export function timestamp(): string {
  return new Date().toISOString();
}

/** What this runs in and its version, as it calls itself: "Node.js/24", or a browser's words. */
export function runtimeName(): string | undefined {
  const { navigator, process } = globalThis as {
    navigator?: { userAgent?: string };
    process?: { version?: string };
  };
  // Node has a navigator from version 21 on.
  return navigator?.userAgent ?? (process?.version === undefined ? undefined : `Node.js/${process.version}`);
}

/** Node's ports keep the process alive; these methods turn that on and off. */
interface Port {
  ref?(): void;
  unref?(): void;
}

/** Makes `breathe` from a channel over which this thread sends messages to itself. */
function messageBreath(Channel: typeof MessageChannel): () => Promise<void> {
  const { port1, port2 } = new Channel();
  const port: Port = port1 as unknown as Port;
  const waiting: (() => void)[] = [];
  port1.onmessage = () => {
    waiting.shift()?.();
    if (waiting.length === 0) port.unref?.();
  };
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      port.ref?.();
      port2.postMessage(undefined);
    });
}

let byMessage: (() => Promise<void>) | undefined;

/** Lets the host do other work: resolves after the messages and events that are waiting now. */
export function breathe(): Promise<void> {
  if (setImmediateHere !== undefined) return new Promise((resolve) => setImmediateHere(resolve));
  if (MessageChannelHere !== undefined) {
    byMessage ??= messageBreath(MessageChannelHere);
    return byMessage();
  }
  if (setTimeoutHere !== undefined) return new Promise((resolve) => setTimeoutHere(resolve, 0));
  return Promise.resolve();
}

/** Resolves after `ms` milliseconds, or after a breath if the timers are fakes. */
export function pause(ms: number): Promise<void> {
  if (setTimeoutHere === undefined) return breathe();
  return new Promise((resolve) => setTimeoutHere(resolve, ms));
}

/** Calls `late` after `ms` milliseconds, unless the returned function is called before that. Never, if the timers are fakes. */
export function startTimer(late: () => void, ms: number): () => void {
  if (setTimeoutHere === undefined) return () => {};
  const timer = setTimeoutHere(late, ms);
  return () => clearTimeoutHere?.(timer);
}
