// A page that trains with two threads, in the background where it may, and shows what came of it.
import { adam, compile, crossEntropy, dense, dropout, relu, sequential } from "steepest";
import { train } from "./training.mjs";

const steepest = { adam, compile, crossEntropy, dense, dropout, relu, sequential };
try {
  document.body.textContent = JSON.stringify(await train(steepest, { threads: 2 }));
  document.title = "done";
} catch (error) {
  document.body.textContent = String(error);
  document.title = "failed";
}
