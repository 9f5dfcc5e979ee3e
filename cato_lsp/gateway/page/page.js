"use strict";
// Shows /overview every second. The key stays in this tab.
const $ = (id) => document.getElementById(id);

function table(title, head, rows) {
  const made = document.createElement("table");
  const caption = made.createCaption();
  caption.textContent = title;
  caption.style.textAlign = "left";
  const line = made.createTHead().insertRow();
  for (const name of head) line.appendChild(document.createElement("th")).textContent = name;
  const body = made.createTBody();
  for (const row of rows) {
    const each = body.insertRow();
    for (const value of row) each.insertCell().textContent = value;
  }
  return made;
}

const seconds = (value) => (value === null ? "none" : `${value.toFixed(2)} s`);

function show(seen) {
  const stats = seen.stats;
  $("state").textContent =
    `${seen.model ?? "No model"}: ${seen.state}. ${seen.connections} connections, ${seen.running} calls, ` +
    `${stats.calls_waiting} waiting, KV cache ${(100 * stats.kv_cache_usage).toFixed(0)} %.`;
  const outcomes = ["met", "missed", "cancelled", "none", "failed"];
  const kinds = Object.entries(seen.kinds).map(([kind, counts]) => [kind, ...outcomes.map((each) => counts[each] ?? 0)]);
  const users = Object.entries(seen.users).map(([user, counts]) => [user, counts.calls, counts.tokens]);
  const calls = seen.calls.map((call) => [call.user, call.kind, call.prompt, call.tokens, seconds(call.age), seconds(call.slack)]);
  $("tables").replaceChildren(
    table("Deadlines, last minute", ["kind", ...outcomes], kinds),
    table("Users, last minute", ["user", "calls", "tokens"], users),
    table("Running now", ["user", "kind", "prompt", "answered", "age", "slack"], calls),
  );
}

async function refresh() {
  const key = sessionStorage.getItem("key");
  $("ask").hidden = key !== null;
  if (key === null) {
    $("state").textContent = "A key is needed.";
    return;
  }
  try {
    const answer = await fetch("overview", { headers: { Authorization: `Bearer ${key}` } });
    if (answer.status === 401) {
      sessionStorage.removeItem("key");
      $("ask").hidden = false;
      $("state").textContent = "This key is not known.";
    } else show(await answer.json());
  } catch {
    $("state").textContent = "The server does not answer.";
  }
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", $("key").value);
  $("key").value = "";
  refresh();
});
setInterval(refresh, 1000);
refresh();
