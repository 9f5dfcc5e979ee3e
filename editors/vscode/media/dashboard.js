// Draws what the extension sends: a ServerStatus (src/protocol.ts), or null where no server runs.
(() => {
  const KINDS = {
    completion: { title: "Completion", sla: "completion_ttft_ms", time: "ttft" },
    generation: { title: "Generate", sla: "generation_ttft_ms", time: "ttft" },
    summarization: { title: "Summarize", sla: "summarization_e2e_ms", time: "e2e" },
    translation: { title: "Translate", sla: "translation_e2e_ms", time: "e2e" },
  };

  const element = (tag, content = "", className = "") => {
    const made = document.createElement(tag);
    made.textContent = content;
    made.className = className;
    return made;
  };

  const seconds = (value) => (typeof value !== "number" ? "–" : value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);
  const percent = (part, whole = 1) => (whole ? `${Math.round((100 * part) / whole)} %` : "–");
  const gibibytes = (bytes) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

  const meter = (value, label, better = "high") => {
    const made = element("meter");
    [made.min, made.max, made.value] = [0, 1, value];
    [made.low, made.high, made.optimum] = better === "high" ? [0.8, 0.95, 1] : [0.7, 0.9, 0];
    made.setAttribute("aria-label", label);
    return made;
  };

  // The time as a bar; the mark in its middle is the deadline. Screen readers read the text above it.
  const bar = (time, deadline) => {
    const track = element("div", "", time > deadline ? "bar late" : "bar");
    const fill = element("div", "", "fill");
    fill.style.width = `${Math.min(100, (50 * time) / deadline)}%`;
    track.append(fill, element("div", "", "mark"));
    track.setAttribute("aria-hidden", "true");
    return track;
  };

  const timeCell = (time, deadline) => {
    const late = typeof time === "number" && time > deadline;
    const cell = element("td", late ? `${seconds(time)} (late)` : seconds(time), late ? "late" : "");
    if (typeof time === "number" && deadline) cell.append(bar(time, deadline));
    return cell;
  };

  const kindRow = (name, kind, sla) => {
    const known = KINDS[name] ?? { title: name, sla: "", time: "e2e" };
    const deadline = (sla?.[known.sla] ?? NaN) / 1000;
    const row = element("tr");
    const head = element("th", known.title);
    head.scope = "row";
    const met = element("td", kind.deadlines ? `${kind.deadlines_met} of ${kind.deadlines}` : "–");
    if (kind.deadlines) met.append(meter(kind.deadlines_met / kind.deadlines, `${known.title}: deadlines met`));
    const what = known.time === "ttft" ? "first token" : "whole answer";
    row.append(
      head,
      element("td", deadline ? `${what} in ${seconds(deadline)}` : "–"),
      timeCell(kind[`${known.time}_p50`], deadline),
      timeCell(kind[`${known.time}_p95`], deadline),
      met,
      element("td", percent(kind.cached_tokens, kind.prompt_tokens)),
    );
    return row;
  };

  const figures = (status, kinds) => {
    const sum = (field) => kinds.reduce((total, kind) => total + kind[field], 0);
    const shown = [
      [percent(sum("deadlines_met"), sum("deadlines")), "deadlines met"],
      [seconds(status.kinds?.completion?.ttft_p50), "to a completion's first token, median"],
      [percent(sum("cached_tokens"), sum("prompt_tokens")), "of prompts from the cache"],
      [String(status.stats.tokens_wasted), "tokens computed after a cancel"],
    ];
    return shown.map(([value, meaning]) => {
      const item = element("li");
      item.append(element("strong", value), element("span", meaning));
      return item;
    });
  };

  const facts = (status) => {
    const { stats, machine, completions, typeThrough } = status;
    const shown = [
      ["State", status.engine.phase],
      ["Model", status.model?.split(/[\\/]/).at(-1) ?? "none"],
      ["Queue", `${stats.calls_running} running, ${stats.calls_waiting} waiting`],
      ["KV cache in use", percent(stats.kv_cache_usage), stats.kv_cache_usage],
    ];
    if (machine) {
      shown.push([`${machine.device} in use`, percent(machine.utilization), machine.utilization]);
      const memory = `${gibibytes(machine.memory_used_bytes)} of ${gibibytes(machine.memory_total_bytes)}`;
      shown.push(["Its memory, used by all programs", memory, machine.memory_used_bytes / machine.memory_total_bytes]);
    }
    if (status.memory) shown.push(["Memory of the server", gibibytes(status.memory)]);
    if (typeThrough?.lookups) shown.push(["Requests answered by type-through", percent(typeThrough.hits, typeThrough.lookups)]);
    if (completions?.offered) shown.push(["Completions accepted", `${completions.accepted} of ${completions.offered} offered`]);
    return shown.flatMap(([name, value, share]) => {
      const description = element("dd", value);
      if (typeof share === "number") description.append(meter(share, name, "low"));
      return [element("dt", name), description];
    });
  };

  // Write only changed text, because a screen reader reads the state line again whenever it is written.
  const say = (text) => {
    const engine = document.getElementById("engine");
    if (engine.textContent !== text) engine.textContent = text;
  };

  const draw = (status) => {
    document.body.classList.toggle("stopped", !status);
    if (!status) {
      say("The server does not run");
      return;
    }
    say([status.engine.message, status.engine.remedy].filter(Boolean).join(" ") || status.engine.phase);
    const kinds = Object.entries(status.kinds ?? {});
    document.getElementById("figures").replaceChildren(...figures(status, kinds.map(([, kind]) => kind)));
    if (kinds.length) document.getElementById("kinds").replaceChildren(...kinds.map(([name, kind]) => kindRow(name, kind, status.sla)));
    document.getElementById("facts").replaceChildren(...facts(status));
  };

  window.addEventListener("message", (event) => draw(event.data));
  acquireVsCodeApi().postMessage("ready");
})();
