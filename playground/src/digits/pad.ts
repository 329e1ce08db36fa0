// What digits are drawn on: by mouse, finger, pen, or keys.
import { isDark, onTheme, styleColor } from "../ui/colors.js";
import { contextOf, h } from "../ui/dom.js";

/** Pixels along a side. */
export const PAD = 280;
const BRUSH = 22;
const KEY_STEP = 10;

export function createPad(changed: () => void) {
  const canvas = h("canvas", {
    id: "pad",
    width: PAD,
    height: PAD,
    tabindex: 0,
    role: "application",
    "aria-label": "Drawing pad. Arrow keys move the pen, Space puts it down or lifts it, Delete clears.",
  });
  const ink = h("canvas", { width: PAD, height: PAD });
  const inked = ink.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
  const pen = { x: PAD / 2, y: PAD / 2, down: false, keys: false };

  function show(): void {
    const context = contextOf(canvas);
    context.clearRect(0, 0, PAD, PAD);
    context.globalCompositeOperation = "source-over";
    context.drawImage(ink, 0, 0);
    // The ink's color is that of the text.
    context.globalCompositeOperation = "source-in";
    context.fillStyle = styleColor("--ink");
    context.fillRect(0, 0, PAD, PAD);
    context.globalCompositeOperation = "source-over";
    if (!pen.keys || document.activeElement !== canvas) return;
    context.beginPath();
    context.arc(pen.x, pen.y, BRUSH / 2, 0, 2 * Math.PI);
    context.strokeStyle = isDark() ? "#7db0ff" : "#1f5fd0";
    context.lineWidth = 2.5;
    if (pen.down) {
      context.fillStyle = context.strokeStyle;
      context.fill();
    }
    context.stroke();
  }

  function line(x: number, y: number): void {
    inked.lineCap = "round";
    inked.lineWidth = BRUSH;
    inked.strokeStyle = "#fff";
    inked.beginPath();
    inked.moveTo(pen.x, pen.y);
    inked.lineTo(x, y);
    inked.stroke();
  }

  function clear(): void {
    inked.clearRect(0, 0, PAD, PAD);
    show();
    changed();
  }

  const placeOf = ({ clientX, clientY }: PointerEvent): [number, number] => {
    const box = canvas.getBoundingClientRect();
    return [((clientX - box.left) / box.width) * PAD, ((clientY - box.top) / box.height) * PAD];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    [pen.x, pen.y] = placeOf(event);
    pen.down = true;
    pen.keys = false;
    line(pen.x, pen.y);
    show();
    changed();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!pen.down || pen.keys) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const [x, y] = placeOf(each);
      line(x, y);
      [pen.x, pen.y] = [x, y];
    }
    show();
    changed();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (!pen.keys) pen.down = false;
    });
  }
  const MOVES: Record<string, readonly [number, number]> = {
    ArrowLeft: [-KEY_STEP, 0],
    ArrowRight: [KEY_STEP, 0],
    ArrowUp: [0, -KEY_STEP],
    ArrowDown: [0, KEY_STEP],
  };
  canvas.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    const clears = event.key === "Delete" || event.key === "Backspace";
    if (move === undefined && event.key !== " " && !clears) return;
    event.preventDefault();
    if (!pen.keys) pen.down = false;
    pen.keys = true;
    if (clears) clear();
    if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) line(pen.x, pen.y);
    }
    if (move !== undefined) {
      const inside = (value: number) => Math.min(PAD - BRUSH, Math.max(BRUSH, value));
      const [x, y] = [inside(pen.x + move[0]), inside(pen.y + move[1])];
      if (pen.down) line(x, y);
      [pen.x, pen.y] = [x, y];
    }
    show();
    if (pen.down) changed();
  });
  canvas.addEventListener("focus", show);
  canvas.addEventListener("blur", show);
  onTheme(show);

  return {
    element: canvas,
    clear,
    /** Ink from 0 to 255, row by row. */
    read(): Uint8Array {
      const { data } = inked.getImageData(0, 0, PAD, PAD);
      const bytes = new Uint8Array(PAD * PAD);
      for (let i = 0; i < bytes.length; i++) bytes[i] = data[4 * i + 3] as number;
      return bytes;
    },
    /** Draws bytes [side, side] over the whole pad. */
    put(bytes: Uint8Array, side: number): void {
      const small = h("canvas", { width: side, height: side });
      const image = new ImageData(side, side);
      for (const [i, value] of bytes.entries()) image.data.set([255, 255, 255, value], 4 * i);
      contextOf(small).putImageData(image, 0, 0);
      inked.clearRect(0, 0, PAD, PAD);
      inked.imageSmoothingEnabled = true;
      inked.imageSmoothingQuality = "high";
      inked.drawImage(small, 0, 0, PAD, PAD);
      show();
      changed();
    },
  };
}
