// What holds of all pages: no serious finding of axe, in light, dark and on a phone; no sideways scrolling.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pages = ["index.html", "digits.html", "text.html", "descent.html"];
const [desk, phone] = [
  { width: 1360, height: 860 },
  { width: 390, height: 844 },
];
const looks = {
  light: ["light", desk],
  dark: ["dark", desk],
  lightPhone: ["light", phone],
  darkPhone: ["dark", phone],
};
const briefLooks = { light: looks.light, darkPhone: looks.darkPhone };
const ready = (page) => page.waitForFunction(() => document.getElementById("status").textContent.includes("build"));

export default async function everywhere({ test, variant, visit, brief }) {
  for (const file of pages) {
    await test(`${file}: accessible in light and dark, and fits a phone`, () =>
      visit(file, async (page, shoot) => {
        await ready(page);
        for (const [look, [colorScheme, viewport]] of Object.entries(brief ? briefLooks : looks)) {
          await page.setViewportSize(viewport);
          await page.emulateMedia({ colorScheme });
          await page.waitForFunction((theme) => document.documentElement.dataset.theme === theme, colorScheme);
          // What is drawn follows the theme within two frames.
          await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
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
        }
      }));
  }

  await test("on a phone, keys alone start and pause each page, and copy its link", async () => {
    for (const file of pages) {
      await visit(
        file,
        async (page) => {
          await ready(page);
          const pressed = (wanted) =>
            page.waitForFunction((is) => document.getElementById("play").ariaPressed === is, wanted);
          const toThe = async (selector) => {
            for (let tabs = 0; tabs < 40; tabs++) {
              if (await page.evaluate((of) => document.activeElement?.matches(of), selector)) return;
              await page.keyboard.press("Tab");
            }
            throw new Error(`${file}: Tab never came to ${selector}`);
          };
          await toThe("#play");
          await page.keyboard.press("Enter");
          await pressed("true");
          await page.keyboard.press("Space");
          await pressed("false");
          await toThe("#actions .quiet");
          await page.keyboard.press("Enter");
          await page.waitForFunction(() =>
            /link to these settings/.test(document.getElementById("message").textContent),
          );
        },
        { viewport: phone, deviceScaleFactor: 2, hasTouch: true },
      );
    }
  });

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

  await variant("the theme may change while a page trains", async () => {
    for (const file of pages) {
      await visit(file, async (page) => {
        await ready(page);
        await page.click("#play");
        for (let press = 0; press < 6; press++) {
          await page.click("#theme");
          await page.evaluate(() => new Promise(requestAnimationFrame));
        }
        assert.equal(await page.getAttribute("#play", "aria-pressed"), "true");
      });
    }
  });
}
