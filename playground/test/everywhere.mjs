// What holds of all pages: no serious finding of axe, in light, dark and on a phone; no sideways scrolling.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pages = readdirSync(new URL("../dist/", import.meta.url)).filter((name) => name.endsWith(".html"));
const looks = {
  light: {},
  dark: { colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true },
};

export default async function everywhere({ test, visit }) {
  for (const file of pages) {
    await test(`${file}: accessible in light and dark, and fits a phone`, async () => {
      for (const [look, options] of Object.entries(looks)) {
        await visit(
          file,
          async (page, shoot) => {
            await page.waitForFunction(() => document.getElementById("status").textContent.includes("build"));
            // From the page's own world, whose policy forbids added scripts.
            const { violations } = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ["violations"] })`);
            const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
            assert.deepEqual(
              serious.map(
                ({ id, nodes }) =>
                  `${id}: ${nodes
                    .map(({ html }) => html)
                    .slice(0, 3)
                    .join(" ")}`,
              ),
              [],
            );
            const { scrollWidth, clientWidth } = await page.evaluate(() => {
              const { scrollWidth, clientWidth } = document.documentElement;
              return { scrollWidth, clientWidth };
            });
            assert.ok(scrollWidth <= clientWidth, `${look}: ${scrollWidth} wide, of ${clientWidth}`);
            await shoot(`${file.replace(".html", "")}-${look}`);
          },
          options,
        );
      }
    });
  }

  await test("the theme is chosen by the system, then by the button, and is kept", () =>
    visit(
      "index.html",
      async (page) => {
        const theme = () => page.getAttribute("html", "data-theme");
        assert.equal(await theme(), "dark");
        await page.click("#theme");
        assert.equal(await theme(), "light");
        await page.reload();
        assert.equal(await theme(), "light");
      },
      { colorScheme: "dark" },
    ));

  await test("the theme may change while a page trains", async () => {
    for (const file of pages) {
      await visit(file, async (page) => {
        await page.waitForFunction(() => document.getElementById("status").textContent.includes("build"));
        await page.click("#play");
        for (let press = 0; press < 6; press++) {
          await page.click("#theme");
          await page.waitForTimeout(100);
        }
        assert.equal(await page.getAttribute("#play", "aria-pressed"), "true");
      });
    }
  });
}
