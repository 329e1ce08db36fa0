// All workers that are started here; to be imported before the modules.
export const workers = [];

if (typeof Worker !== "undefined") {
  globalThis.Worker = class extends Worker {
    constructor(...options) {
      super(...options);
      workers.push(this);
    }
  };
}
