// No page keeps its own thread for more than 50 ms while it trains: with the dearest settings, while colors and settings change.
import assert from "node:assert/strict";
import { until } from "./check.mjs";
import { longest, longTasks, traced } from "./trace.mjs";

const numberIn = (page, id) => async () => Number((await page.textContent(`#${id}`)).replaceAll(",", ""));
const isReady = () => document.getElementById("status").textContent.includes("build");

/** Pages with the most that their controls allow; what has to come of the training; and what is changed meanwhile. */
const PAGES = [
  {
    name: "points",
    hash: "features=x.y.xx.yy.xy.sinx.siny&layers=8-8-8-8-8-8&batch=1&speed=4",
    count: "epoch",
    least: 40,
    change: (page) => page.click("text=Spiral"),
  },
  {
    name: "digits",
    hash: "batch=128",
    count: "images",
    least: 20_000,
    change: (page) => page.selectOption('label:text-is("Network") + select', "Dense layers"),
  },
  {
    name: "text",
    hash: "width=128&context=96&batch=8",
    count: "steps",
    least: 6,
    change: (page) => page.selectOption('label:text-is("Model") + select', "LSTM"),
  },
  {
    name: "descent",
    hash: "racers=sgd.momentum.nesterov.adagrad.rmsprop.adam.lion.rprop&speed=50",
    count: "steps",
    least: 2000,
    change: (page) => page.click("text=Himmelblau"),
  },
];

export default async function smooth({ test, visit, browser }) {
  for (const { name, hash, count, least, change } of PAGES) {
    await test(`${name}: no task has the page's thread for more than 50 ms while it trains`, () =>
      visit(`${name === "points" ? "index" : name}.html#${hash}`, async (page) => {
        await page.waitForFunction(isReady);
        await page.waitForFunction(() => document.querySelector(".u-over, .uplot") !== null);
        const counted = numberIn(page, count);
        const { tasks } = await traced(browser, page, async () => {
          await page.click("#play");
          await until(counted, (seen) => seen >= least, count);
          await page.click("#theme");
          await change(page);
          await until(counted, (seen) => seen < least, `${count} from the beginning`);
          await until(counted, (seen) => seen >= least / 2, count);
        });
        assert.equal(await page.getAttribute("#play", "aria-pressed"), "true");
        assert.ok(tasks.length > 50, `${tasks.length} tasks`);
        console.log(`      ${tasks.length} tasks, the longest ${longest(tasks)} ms`);
        assert.deepEqual(longTasks(tasks), []);
      }));
  }
}
