// Pictures for the terminal: a confusion matrix, and grey images side by side.

/** Rows are the true classes, columns the predicted ones. */
export function drawConfusion(labels: ArrayLike<number>, predicted: ArrayLike<number>, classes: number): string {
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) counts[labels[i]][predicted[i]] += 1;
  const width = Math.max(4, ...counts.flat().map((count) => String(count).length)) + 1;
  const cell = (value: string | number): string => String(value).padStart(width);
  const head = `true \\ predicted${counts.map((_, label) => cell(label)).join("")}   recall`;
  const lines = counts.map((row, label) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    const recall = total === 0 ? "     –" : `${((100 * row[label]) / total).toFixed(1).padStart(5)} %`;
    return `${String(label).padStart(16)}${row.map((count) => cell(count === 0 ? "·" : count)).join("")}   ${recall}`;
  });
  return [head, ...lines].join("\n");
}

const SHADES = " ░▒▓█";

/** One image, values within [0, 1]; a character covers two pixels, one above the other. */
export function drawImage(pixels: ArrayLike<number>, width: number, height: number): string[] {
  const lines: string[] = [];
  for (let y = 0; y < height; y += 2) {
    let line = "";
    for (let x = 0; x < width; x++) {
      const below = y + 1 < height ? pixels[(y + 1) * width + x] : 0;
      const grey = (pixels[y * width + x] + below) / 2;
      line += SHADES[Math.min(SHADES.length - 1, Math.floor(grey * SHADES.length))];
    }
    lines.push(line);
  }
  return lines;
}

/** Images of equal height beside each other, each with a caption below. */
export function drawSideBySide(images: readonly { lines: readonly string[]; caption: string }[]): string {
  const widths = images.map(({ lines, caption }) => Math.max(caption.length, ...lines.map((line) => line.length)) + 3);
  const rows =
    images[0]?.lines.map((_, row) =>
      images
        .map(({ lines }, i) => lines[row].padEnd(widths[i]))
        .join("")
        .trimEnd(),
    ) ?? [];
  return [
    ...rows,
    images
      .map(({ caption }, i) => caption.padEnd(widths[i]))
      .join("")
      .trimEnd(),
  ].join("\n");
}
