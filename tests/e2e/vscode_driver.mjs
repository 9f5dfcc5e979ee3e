// Chromium for the tests: reads one JSON command per line, answers one JSON line. `page` numbers the windows.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(process.argv[2])("playwright-core");
const browser = await chromium.launch({ executablePath: process.argv[3], args: ["--no-sandbox"] });
const pages = [];
let recording;

const commands = {
  async open(_page, url, width, height) {
    const page = await browser.newPage({ viewport: { width, height } });
    await page.goto(url);
    await page.waitForSelector(".monaco-workbench", { timeout: 90000 });
    return pages.push(page) - 1;
  },
  async visit(_page, url) {
    const page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(url);
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
  async record(page, folder) {
    recording = { session: await page.context().newCDPSession(page), frames: [] };
    recording.session.on("Page.screencastFrame", ({ data, metadata, sessionId }) => {
      const path = `${folder}/${String(recording.frames.length).padStart(5, "0")}.png`;
      writeFileSync(path, Buffer.from(data, "base64"));
      recording.frames.push([metadata.timestamp, path]);
      recording.session.send("Page.screencastFrameAck", { sessionId }).catch(() => {});
    });
    await recording.session.send("Page.startScreencast", { format: "png" });
  },
  async frames() {
    await recording.session.send("Page.stopScreencast");
    return recording.frames;
  },
  // Types letters with pauses and measures, in the page, from a keydown without ghost text to the frame that has some.
  async latency(page, text, wordEnds, keyPause, wordPause) {
    await page.evaluate(() => {
      const isShown = () => document.querySelector(".ghost-text-decoration, .ghost-text") !== null;
      window.catoLatency = [];
      let pressed;
      document.addEventListener("keydown", () => { pressed = isShown() ? undefined : performance.now(); }, true);
      new MutationObserver(() => {
        if (pressed !== undefined && isShown()) {
          const since = pressed;
          pressed = undefined;
          requestAnimationFrame(() => window.catoLatency.push(performance.now() - since));
        }
      }).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    for (const letter of text) {
      await page.keyboard.type(letter);
      await page.waitForTimeout(wordEnds.includes(letter) ? wordPause : keyPause);
    }
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
