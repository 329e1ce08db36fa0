// steepest/inspect: looking inside of a trained model. The public names, nothing else.
export {
  type ActivationsOptions,
  activationGradients,
  activations,
  type LayerGradientsOptions,
} from "./activations.js";
export {
  type Attributions,
  type GradCamOptions,
  gradCam,
  type IntegratedGradientsOptions,
  integratedGradients,
  type SaliencyOptions,
  saliency,
} from "./attribution.js";
export type { Inspected, LayerChoice } from "./look.js";
export {
  type Direction,
  type Landscape,
  type LossLandscape,
  type LossLandscapeOptions,
  lossLandscape,
} from "./lossLandscape.js";
export {
  channelTiles,
  filterTiles,
  mapTiles,
  type Picture,
  type ShapedNumbers,
  type TilesOptions,
} from "./pictures.js";
export {
  type PcaLibrary,
  type PrincipalComponents,
  type PrincipalComponentsOptions,
  principalComponents,
  type Rows,
} from "./principalComponents.js";
export type { ScoreOptions } from "./score.js";
