// What a server answers with: a training of its own.
import * as steepest from "steepest";
import { train } from "../../../training.mjs";

export const dynamic = "force-dynamic";

export async function GET() {
  return Response.json(await train(steepest, { threads: 2 }));
}
