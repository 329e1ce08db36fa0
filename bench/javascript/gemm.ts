// Matrix product in plain JavaScript, blocked after Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix
// Multiplication". Packed panels hold doubles: JavaScript computes in doubles, and converting each value once costs
// less than at each use. 3 × 4 accumulators are the most that V8 keeps in the sixteen vector registers of x86.
//
//   A block [rows ≤ 96, depth ≤ 256] → panels of 3 rows     B block [depth ≤ 256, columns ≤ 128] → panels of 4 columns
//   panel 0: a00 a10 a20 │ a01 a11 a21 │ …                  panel 0: b00 b01 b02 b03 │ b10 b11 b12 b13 │ …
//
// Rows and columns that a last panel lacks hold older values; what they lead to is left out.

/** A matrix in memory: element (i, j) is data[i · rowStride + j · columnStride]. */
export interface Matrix {
  readonly data: Float32Array;
  readonly rowStride: number;
  readonly columnStride: number;
}

export function rowMajor(data: Float32Array, columns: number): Matrix {
  return { data, rowStride: columns, columnStride: 1 };
}

/** The transpose of a row-major matrix of `columns` columns, without moving anything. */
export function transposed(data: Float32Array, columns: number): Matrix {
  return { data, rowStride: 1, columnStride: columns };
}

const PANEL_ROWS = 3;
const PANEL_COLUMNS = 4;
const BLOCK_ROWS = 96;
const BLOCK_COLUMNS = 128;
const BLOCK_DEPTH = 256;
// Up to this many rows packing costs more than it saves.
const FEW_ROWS = 2;

const packedA = new Float64Array(BLOCK_ROWS * BLOCK_DEPTH);
const packedB = new Float64Array(BLOCK_COLUMNS * BLOCK_DEPTH);
const tile = new Float64Array(PANEL_ROWS * PANEL_COLUMNS);

/** c [m, n] += a [m, k] · b [k, n]; c is row-major. */
export function gemm(c: Float32Array, a: Matrix, b: Matrix, m: number, n: number, k: number): void {
  if (m <= FEW_ROWS && b.columnStride === 1) {
    addFewRows(c, a, b, m, n, k);
    return;
  }
  for (let p = 0; p < k; p += BLOCK_DEPTH) {
    const depth = Math.min(BLOCK_DEPTH, k - p);
    for (let j = 0; j < n; j += BLOCK_COLUMNS) {
      const columns = Math.min(BLOCK_COLUMNS, n - j);
      packColumns(b, p, j, depth, columns);
      for (let i = 0; i < m; i += BLOCK_ROWS) {
        const rows = Math.min(BLOCK_ROWS, m - i);
        packRows(a, i, p, rows, depth);
        multiplyBlock(c, i * n + j, n, rows, columns, depth);
      }
    }
  }
}

/** c += a · b for row-major b, row by row, four rows of b at a time: nothing is packed. */
function addFewRows(c: Float32Array, a: Matrix, b: Matrix, m: number, n: number, k: number): void {
  const { data: x, columnStride } = a;
  const { data: y, rowStride } = b;
  for (let i = 0; i < m; i++) {
    const row = i * n;
    let p = 0;
    let u = i * a.rowStride;
    for (; p + 4 <= k; p += 4, u += 4 * columnStride) {
      const x0 = x[u];
      const x1 = x[u + columnStride];
      const x2 = x[u + 2 * columnStride];
      const x3 = x[u + 3 * columnStride];
      const y0 = p * rowStride;
      const y1 = y0 + rowStride;
      const y2 = y1 + rowStride;
      const y3 = y2 + rowStride;
      for (let j = 0; j < n; j++) c[row + j] += x0 * y[y0 + j] + x1 * y[y1 + j] + (x2 * y[y2 + j] + x3 * y[y3 + j]);
    }
    for (; p < k; p++, u += columnStride) for (let j = 0; j < n; j++) c[row + j] += x[u] * y[p * rowStride + j];
  }
}

/** Panels of three rows; the loop inside runs along whichever axis is contiguous. */
function packRows({ data, rowStride, columnStride }: Matrix, row: number, column: number, rows: number, depth: number) {
  for (let i = 0, to = 0; i < rows; i += PANEL_ROWS, to += PANEL_ROWS * depth) {
    const from = (row + i) * rowStride + column * columnStride;
    if (i + PANEL_ROWS <= rows && rowStride === 1) {
      for (let p = 0, u = from, t = to; p < depth; p++, u += columnStride, t += 3) {
        packedA[t] = data[u];
        packedA[t + 1] = data[u + 1];
        packedA[t + 2] = data[u + 2];
      }
      continue;
    }
    const most = Math.min(PANEL_ROWS, rows - i);
    for (let r = 0; r < most; r++) {
      for (let p = 0, u = from + r * rowStride, t = to + r; p < depth; p++, u += columnStride, t += PANEL_ROWS) {
        packedA[t] = data[u];
      }
    }
  }
}

function packColumns(
  { data, rowStride, columnStride }: Matrix,
  row: number,
  column: number,
  depth: number,
  columns: number,
) {
  for (let j = 0, to = 0; j < columns; j += PANEL_COLUMNS, to += PANEL_COLUMNS * depth) {
    const from = row * rowStride + (column + j) * columnStride;
    if (j + PANEL_COLUMNS <= columns && columnStride === 1) {
      for (let p = 0, u = from, t = to; p < depth; p++, u += rowStride, t += 4) {
        packedB[t] = data[u];
        packedB[t + 1] = data[u + 1];
        packedB[t + 2] = data[u + 2];
        packedB[t + 3] = data[u + 3];
      }
      continue;
    }
    const most = Math.min(PANEL_COLUMNS, columns - j);
    for (let q = 0; q < most; q++) {
      for (let p = 0, u = from + q * columnStride, t = to + q; p < depth; p++, u += rowStride, t += PANEL_COLUMNS) {
        packedB[t] = data[u];
      }
    }
  }
}

/** c[at …] += packedA · packedB, tile by tile. */
function multiplyBlock(c: Float32Array, at: number, stride: number, rows: number, columns: number, depth: number) {
  for (let j = 0; j < columns; j += PANEL_COLUMNS) {
    const tileColumns = Math.min(PANEL_COLUMNS, columns - j);
    for (let i = 0; i < rows; i += PANEL_ROWS) {
      const tileRows = Math.min(PANEL_ROWS, rows - i);
      multiplyTile(i * depth, j * depth, depth);
      for (let r = 0; r < tileRows; r++) {
        const to = at + (i + r) * stride + j;
        for (let q = 0; q < tileColumns; q++) c[to + q] += tile[r * PANEL_COLUMNS + q];
      }
    }
  }
}

/** The inner loop: tile [3, 4] = panel of A · panel of B, all twelve sums in registers. */
function multiplyTile(a: number, b: number, depth: number): void {
  let [c00, c01, c02, c03] = [0, 0, 0, 0];
  let [c10, c11, c12, c13] = [0, 0, 0, 0];
  let [c20, c21, c22, c23] = [0, 0, 0, 0];
  for (const end = a + depth * PANEL_ROWS; a < end; a += PANEL_ROWS, b += PANEL_COLUMNS) {
    const x0 = packedA[a];
    const x1 = packedA[a + 1];
    const x2 = packedA[a + 2];
    let y = packedB[b];
    c00 += x0 * y;
    c10 += x1 * y;
    c20 += x2 * y;
    y = packedB[b + 1];
    c01 += x0 * y;
    c11 += x1 * y;
    c21 += x2 * y;
    y = packedB[b + 2];
    c02 += x0 * y;
    c12 += x1 * y;
    c22 += x2 * y;
    y = packedB[b + 3];
    c03 += x0 * y;
    c13 += x1 * y;
    c23 += x2 * y;
  }
  tile[0] = c00;
  tile[1] = c01;
  tile[2] = c02;
  tile[3] = c03;
  tile[4] = c10;
  tile[5] = c11;
  tile[6] = c12;
  tile[7] = c13;
  tile[8] = c20;
  tile[9] = c21;
  tile[10] = c22;
  tile[11] = c23;
}
