// Who may race: names, and how they are shown.

export const RACERS = {
  sgd: { label: "SGD", color: "--c0" },
  momentum: { label: "Momentum", color: "--c1" },
  nesterov: { label: "Nesterov", color: "--c6" },
  adagrad: { label: "Adagrad", color: "--c5" },
  rmsprop: { label: "RMSprop", color: "--c2" },
  adam: { label: "Adam", color: "--c3" },
  lion: { label: "Lion", color: "--c7" },
  rprop: { label: "Rprop", color: "--c4" },
} as const;

export type RacerName = keyof typeof RACERS;
export const RACER_NAMES = Object.keys(RACERS) as RacerName[];
