// Everything in one file needs no permission to read.
import * as steepest from "npm:steepest/inline";
import { train } from "./training.mjs";

console.log(JSON.stringify(await train(steepest, {})));
