// Elements from a tag, attributes and children.

type Child = Node | string | undefined;
type Attribute = string | number | boolean | undefined | ((event: Event) => void);

/** Functions are listeners (`click`), true is an attribute without a value, false and undefined leave it out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element "${id}"`);
  return element as T;
}

export function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser draws on no canvas");
  return context;
}

/** Makes a canvas as fine as the screen, and returns its context in CSS pixels with the size that it has. */
export function fit(canvas: HTMLCanvasElement): { context: CanvasRenderingContext2D; width: number; height: number } {
  const ratio = Math.min(2, devicePixelRatio);
  const { clientWidth: width, clientHeight: height } = canvas;
  const [w, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== high) canvas.height = high;
  const context = contextOf(canvas);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

/** Resolves in a task of its own: input and frames that wait come first. What is long is cut by it. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Goes through a job that gives way now and then, so much at a time that a frame has time for more. */
export async function inSlices<R>(job: Generator<undefined, R>, sliceMs = 8): Promise<R> {
  for (;;) {
    await breathe();
    const end = performance.now() + sliceMs;
    do {
      const { done, value } = job.next();
      if (done) return value as R;
    } while (performance.now() < end);
  }
}

/** Resolves before the next frame is drawn; soon, too, if the page is hidden and draws none. */
export function nextFrame(): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 250);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
