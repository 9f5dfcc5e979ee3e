/** What our server says beyond LSP. */

export const DID_CHANGE_STATUS = "cato/didChangeStatus";
export const STATUS = "cato/status";
export const PREVIEW = "cato/preview";

export interface ChangedStatus {
  busy: boolean;
  message: string;
  kind: "Normal" | "Warning" | "Error" | "Inactive";
}

/** An answer that grows: `text` is all of it so far. */
export interface Preview {
  id: string;
  kind: "generation" | "summarization" | "translation";
  title: string;
  language: string;
  uri: string;
  text: string;
  done: boolean;
  error?: string | null;
}

/** Whether the answer ends in an edit of the document, as opposed to a document of its own. */
export function becomesEdit(preview: Preview): boolean {
  return preview.kind === "generation" || (preview.kind === "summarization" && preview.language !== "markdown");
}

/** The tasks of one kind. Times are in seconds. */
export interface KindSummary {
  promised: number;
  kept: number;
  ttft_p50: number | null;
  ttft_p95: number | null;
  e2e_p50: number | null;
  e2e_p95: number | null;
  prompt_tokens: number;
  cached_tokens: number;
}

export interface TaskRecord {
  kind: string;
  outcome: string;
  ttft: number | null;
  e2e: number;
  answer_tokens: number;
  kept: boolean | null;
}

export interface ServerStatus {
  engine: { phase: string; message: string; remedy: string };
  model: string | null;
  stats: { calls_running: number; calls_waiting: number; kv_cache_usage: number; tokens_wasted: number };
  kinds?: Record<string, KindSummary>;
  tasks: TaskRecord[];
  live: number;
  /** Of the server's process, in bytes. */
  memory?: number;
  machine?: Machine | null;
  completions?: { offered: number; shown: number; accepted: number; acceptedCharacters: number };
  typeThrough?: { lookups: number; hits: number; hitRate: number };
  /** What is promised, in ms. */
  sla?: Record<string, number>;
}

/** How busy the machine is, by all programs. Shares are from 0 to 1. */
export interface Machine {
  device: string;
  utilization: number;
  memory_used_bytes: number;
  memory_total_bytes: number;
  kv_cache_usage: number;
}

/** Answers on time, of those that somebody waited for. */
export function promises(status: ServerStatus): { kept: number; promised: number } {
  const waited = status.tasks.filter((task) => task.kept !== null);
  return { kept: waited.filter((task) => task.kept).length, promised: waited.length };
}

/** Tokens per second after the first token, over the last tasks; undefined before there are any. */
export function tokensPerSecond(status: ServerStatus): number | undefined {
  let tokens = 0;
  let seconds = 0;
  for (const task of status.tasks) {
    if (task.ttft !== null && task.answer_tokens > 1 && task.e2e > task.ttft) {
      tokens += task.answer_tokens - 1;
      seconds += task.e2e - task.ttft;
    }
  }
  return seconds > 0 ? tokens / seconds : undefined;
}
