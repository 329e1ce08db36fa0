// A run that gives no answer is made once more, in a new browser, and the record says so.

/** Resolves to what `work` does, or to a result that says how long nothing came. */
async function within(work, ms) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve({ silent: true, broken: `no answer within ${ms / 60_000} minutes` }), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/**
 * `make` makes the run; `renew` closes the browser and starts another. An error, or a second run without an answer, is a
 * result that is broken. The result of a second run has `repeated`: why there was one.
 */
export async function runTwice(make, renew, ms) {
  const attempt = async () => {
    try {
      return await within(make(), ms);
    } catch (error) {
      return { broken: String(error) };
    }
  };
  const { silent, ...first } = await attempt();
  if (!silent) return first;
  try {
    await renew();
  } catch (error) {
    return { broken: `${first.broken}, and no other browser could be started: ${error}` };
  }
  const { silent: again, ...second } = await attempt();
  return { ...second, repeated: first.broken };
}
