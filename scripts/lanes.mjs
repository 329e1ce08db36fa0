// Work on a list, several items at a time.

/** What `work` gives for each item, in the items' order; `count` of them are worked on at a time. Rejects with the first error. */
export async function inLanes(count, items, work) {
  const results = [];
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at]);
    }
  };
  await Promise.all(Array.from({ length: count }, lane));
  return results;
}
