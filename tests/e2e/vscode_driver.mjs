// Chromium for the tests: reads one JSON command per line, answers one JSON line. `page` numbers the windows.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(process.argv[2])("playwright-core");
const browser = await chromium.launch({ executablePath: process.argv[3], args: ["--no-sandbox"] });
const pages = [];

const commands = {
  async open(_page, url) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 760 } });
    await page.goto(url);
    await page.waitForSelector(".monaco-workbench", { timeout: 90000 });
    return pages.push(page) - 1;
  },
  async reload(page) {
    await page.reload();
    await page.waitForSelector(".monaco-workbench", { timeout: 90000 });
  },
  close: (page) => page.close(),
  press: (page, ...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve()),
  type: (page, text, delay) => page.keyboard.type(text, { delay }),
  click: (page, selector, button = "left") => page.locator(selector).first().click({ timeout: 30000, button }),
  hover: (page, selector) => page.locator(selector).first().hover({ timeout: 30000 }),
  texts: (page, selector) => page.locator(selector).allInnerTexts(),
  frameTexts: async (page, selector) =>
    (await Promise.all(page.frames().map((frame) => frame.locator(selector).allInnerTexts().catch(() => [])))).flat(),
  labels: (page, selector) => page.locator(selector).evaluateAll((found) => found.map((each) => each.getAttribute('aria-label') ?? '')),
  screenshot: (page, path) => page.screenshot({ path }).then(() => path),
  // Types letters with a pause and measures, in the page, from each keydown to the next paint of ghost text.
  async latency(page, text, delay) {
    await page.evaluate(() => {
      window.catoLatency = [];
      let pressed = 0;
      document.addEventListener("keydown", () => { pressed = performance.now(); }, true);
      new MutationObserver(() => {
        if (pressed && document.querySelector(".ghost-text-decoration, .ghost-text")) {
          window.catoLatency.push(performance.now() - pressed);
          pressed = 0;
        }
      }).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    await page.keyboard.type(text, { delay });
    return page.evaluate(() => window.catoLatency);
  },
};

const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
answer({ result: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const { name, page, args } = JSON.parse(line);
  try {
    answer({ result: (await commands[name](pages[page], ...args)) ?? null });
  } catch (error) {
    answer({ error: String(error) });
  }
}
await browser.close();
