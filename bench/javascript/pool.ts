// Max pooling of windows 2×2 that do not overlap, in plain JavaScript; what is left over at the edges is dropped.

export interface PoolSizes {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** y [batch, ⌊height/2⌋, ⌊width/2⌋, channels] of x [batch, height, width, channels], and where in x each element comes from. */
export function maxPoolForward(y: Float32Array, places: Uint32Array, x: Float32Array, sizes: PoolSizes): void {
  const { batch, height, width, channels } = sizes;
  const line = width * channels;
  let to = 0;
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i + 1 < height; i += 2) {
      for (let j = 0; j + 1 < width; j += 2) {
        const from = ((n * height + i) * width + j) * channels;
        for (let c = 0; c < channels; c++, to++) {
          let best = from + c;
          if (x[from + c + channels] > x[best]) best = from + c + channels;
          if (x[from + c + line] > x[best]) best = from + c + line;
          if (x[from + c + line + channels] > x[best]) best = from + c + line + channels;
          places[to] = best;
          y[to] = x[best];
        }
      }
    }
  }
}

export function maxPoolBackward(dx: Float32Array, dy: Float32Array, places: Uint32Array): void {
  dx.fill(0);
  for (let i = 0; i < dy.length; i++) dx[places[i]] = dy[i];
}
