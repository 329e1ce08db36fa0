// What trains on a page: one thing after another, so that a change of the settings never meets a step that still runs.
import { nextFrame } from "./dom.js";

export interface Session {
  /** Does this after all that was asked for before. */
  then(work: () => Promise<void> | void): Promise<void>;
  readonly playing: boolean;
  play(): void;
  pause(): void;
}

export interface SessionOptions {
  /** A turn of training, before each frame. */
  turn(): Promise<void> | void;
  /** Training was begun or stopped. */
  changed(playing: boolean): void;
  failed(error: unknown): void;
}

export function createSession({ turn, changed, failed }: SessionOptions): Session {
  let last: Promise<void> = Promise.resolve();
  let playing = false;
  let looping = false;
  const set = (value: boolean): void => {
    if (playing === value) return;
    playing = value;
    changed(value);
  };
  const then = (work: () => Promise<void> | void): Promise<void> => {
    last = last.then(work).catch((error) => {
      set(false);
      failed(error);
    });
    return last;
  };
  const loop = async (): Promise<void> => {
    if (looping) return;
    looping = true;
    while (playing) {
      await then(async () => {
        if (playing) await turn();
      });
      await nextFrame();
    }
    looping = false;
  };
  return {
    then,
    get playing() {
      return playing;
    },
    play() {
      set(true);
      void loop();
    },
    pause: () => set(false),
  };
}
