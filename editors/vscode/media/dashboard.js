// Draws what the extension sends: `{status: ServerStatus, settings: the section cato.sla}`.
(() => {
  const KINDS = {
    completion: { title: "Completion", sla: "completionTtftMs", time: "ttft" },
    generation: { title: "Generate", sla: "generationTtftMs", time: "ttft" },
    summarization: { title: "Summarize", sla: "summarizationE2eMs", time: "e2e" },
    translation: { title: "Translate", sla: "translationE2eMs", time: "e2e" },
  };

  const text = (tag, content, className) => {
    const element = document.createElement(tag);
    element.textContent = content;
    if (className) element.className = className;
    return element;
  };

  const seconds = (value) => (value === null || value === undefined ? "–" : value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);
  const percent = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} %` : "–");

  const meter = (value, label) => {
    const element = document.createElement("meter");
    element.max = 1;
    element.low = 0.8;
    element.high = 0.95;
    element.optimum = 1;
    element.value = value;
    element.setAttribute("aria-label", label);
    return element;
  };

  const timeCell = (value, promise) => {
    const late = typeof value === "number" && value * 1000 > promise;
    return text("td", late ? `${seconds(value)} (late)` : seconds(value), late ? "late" : undefined);
  };

  const kindRow = (name, kind, settings) => {
    const { title, sla, time } = KINDS[name] ?? { title: name, sla: "", time: "e2e" };
    const promise = settings?.[sla];
    const row = document.createElement("tr");
    const head = text("th", title);
    head.scope = "row";
    const kept = text("td", kind.promised ? `${kind.kept} of ${kind.promised}` : "–");
    if (kind.promised) kept.append(meter(kind.kept / kind.promised, `${title}: promises kept`));
    row.append(
      head,
      text("td", promise ? `${time === "ttft" ? "first token" : "whole answer"} in ${seconds(promise / 1000)}` : "–"),
      timeCell(kind[`${time}_p50`], promise),
      timeCell(kind[`${time}_p95`], promise),
      kept,
      text("td", percent(kind.cached_tokens, kind.prompt_tokens)),
    );
    return row;
  };

  const draw = ({ status, settings }) => {
    const engine = document.getElementById("engine");
    if (!status) {
      engine.textContent = "The server does not run";
      return;
    }
    engine.textContent = [status.engine.message, status.engine.remedy].filter(Boolean).join(" ") || status.engine.phase;
    const rows = Object.entries(status.kinds ?? {}).map(([name, kind]) => kindRow(name, kind, settings));
    if (rows.length) document.getElementById("kinds").replaceChildren(...rows);
    const facts = [
      ["State", status.engine.phase],
      ["Model", status.model?.split(/[\\/]/).at(-1) ?? "none"],
      ["Calls running, waiting", `${status.stats.calls_running}, ${status.stats.calls_waiting}`],
      ["KV cache in use", percent(status.stats.kv_cache_usage, 1)],
      ["Tokens computed for nobody", String(status.stats.tokens_wasted)],
    ];
    if (status.typeThrough?.lookups) facts.push(["Answered from what was suggested before", percent(status.typeThrough.hits, status.typeThrough.lookups)]);
    if (status.memory) facts.push(["Memory of the server", `${(status.memory / 2 ** 30).toFixed(1)} GiB`]);
    document.getElementById("facts").replaceChildren(...facts.flatMap(([name, value]) => [text("dt", name), text("dd", value)]));
  };

  window.addEventListener("message", (event) => draw(event.data));
  acquireVsCodeApi().postMessage("ready");
})();
