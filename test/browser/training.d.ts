/** What a training came to: the digest of all its numbers, and how it ran. */
export function train(
  steepest: object,
  options: object,
): Promise<{ digest: number; first: number[]; threads: number; background: boolean; build: string }>;
