// A model that learns online. The Worker passes every request on to one Durable Object, which has the model in memory
// and its checkpoint in storage.
import { type Lesson, MODEL_NAME, OnlineModel, stepsOf, UnlearnableError } from "./model.js";
import type { DurableObjectNamespace, DurableObjectState } from "./platform.js";
import { LIMITS, RequestError, readLesson, readQuestion } from "./requests.js";

interface Env {
  readonly MODEL: DurableObjectNamespace;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      return await env.MODEL.get(env.MODEL.idFromName("model")).fetch(request);
    } catch (error) {
      // The object did not start, or was moved to another machine while it worked.
      return refuse(503, `the model is not there now: ${(error as Error).message}`, { "retry-after": "1" });
    }
  },
};

/** Where the checkpoint is: another model does not find that of this one, and leaves it where it is. */
const CHECKPOINT = `checkpoint ${MODEL_NAME}`;

/** Steps from one checkpoint to the next. */
const STEPS_A_SLICE = 64;

export class ModelStore {
  private model!: OnlineModel;
  private lastTurn: Promise<unknown> = Promise.resolve();

  constructor(private readonly state: DurableObjectState) {
    state.blockConcurrencyWhile(async () => {
      this.model = await OnlineModel.create();
      const checkpoint = await state.storage.get<Uint8Array>(CHECKPOINT);
      if (checkpoint !== undefined) this.model.restore(checkpoint);
    });
  }

  async fetch(request: Request): Promise<Response> {
    try {
      return await this.answer(request);
    } catch (error) {
      if (error instanceof RequestError) return refuse(error.status, error.message, error.headers);
      if (error instanceof UnlearnableError) {
        return refuse(422, `${error.message}; the model is as it was before: send samples of a smaller scale`);
      }
      console.error(error);
      return refuse(500, "something went wrong: see the Worker's log");
    }
  }

  private async answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    switch (`${request.method} ${pathname}`) {
      case "POST /learn": {
        const lesson = await readLesson(request);
        return Response.json(await this.inTurn(() => this.learn(lesson)));
      }
      case "POST /predict": {
        const probabilities = this.model.predict(await readQuestion(request));
        return Response.json({ classes: probabilities.map(largest), probabilities, steps: this.model.steps });
      }
      case "GET /model":
        return this.show(searchParams.get("format") ?? "safetensors");
      case "DELETE /model":
        await this.inTurn(() => this.reset());
        return Response.json(this.model.describe());
      default:
        throw unknownAddress(request.method, pathname);
    }
  }

  /** Learns slice by slice, each with its checkpoint. All or nothing where the samples are to blame. */
  private async learn(lesson: Lesson) {
    const { model } = this;
    const before = model.checkpoint();
    const steps = stepsOf(lesson);
    let losses = 0;
    try {
      for (let done = 0; done < steps; ) {
        const end = Math.min(done + STEPS_A_SLICE, steps);
        losses += model.learn(lesson, done, end);
        done = end;
        await this.save(model.checkpoint());
      }
    } catch (error) {
      model.restore(before);
      await this.save(before);
      throw error;
    }
    return {
      learned: { steps, samples: lesson.x.length * lesson.passes },
      loss: losses / steps,
      total: { steps: model.steps, samples: model.samples },
    };
  }

  /** Resolves when the checkpoint is on the disk. */
  private async save(checkpoint: Uint8Array): Promise<void> {
    await this.state.storage.put(CHECKPOINT, checkpoint);
    await this.state.storage.sync();
  }

  private async reset(): Promise<void> {
    await this.state.storage.delete(CHECKPOINT);
    await this.state.storage.sync();
    this.model.reset();
  }

  private show(format: string): Response {
    if (format === "json") return Response.json({ ...this.model.describe(), limits: LIMITS });
    if (format !== "safetensors") throw new RequestError(400, `format: must be safetensors or json, got "${format}"`);
    return new Response(this.model.checkpoint(), {
      headers: {
        "content-type": "application/octet-stream",
        "content-disposition": 'attachment; filename="model.safetensors"',
        "x-model-steps": String(this.model.steps),
        "x-model-samples": String(this.model.samples),
      },
    });
  }

  /** What changes the model is done one after the other: while one waits for the storage, others come in. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.lastTurn.then(work);
    this.lastTurn = turn.catch(() => {});
    return turn;
  }
}

const METHODS: Readonly<Record<string, string>> = { "/learn": "POST", "/predict": "POST", "/model": "GET, DELETE" };

function unknownAddress(method: string, path: string): RequestError {
  const allow = METHODS[path];
  if (allow === undefined)
    return new RequestError(404, `no such address: there are ${Object.keys(METHODS).join(", ")}`);
  return new RequestError(405, `${path}: takes ${allow}, got ${method}`, { allow });
}

function largest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

function refuse(status: number, error: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error }, { status, headers });
}
