/** The server's messages beyond LSP. */

export const DID_CHANGE_STATUS = "cato/didChangeStatus";
export const STATUS = "cato/status";
export const PREVIEW = "cato/preview";

export interface ChangedStatus {
  busy: boolean;
  message: string;
  kind: "Normal" | "Warning" | "Error" | "Inactive";
}

/** An answer while it is generated: `text` is the whole text so far. */
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

/** Whether the result is an edit of the document; otherwise it is a new document. */
export function becomesEdit(preview: Preview): boolean {
  return preview.kind === "generation" || (preview.kind === "summarization" && preview.language !== "markdown");
}

/** The tasks of one kind. Times are in seconds. */
export interface KindSummary {
  /** How many tasks had a deadline that was met or missed. */
  deadlines: number;
  deadlines_met: number;
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
  /** Whether the deadline was met; null for cancelled tasks. */
  met: boolean | null;
}

export interface ServerStatus {
  engine: { phase: string; message: string; remedy: string };
  model: string | null;
  stats: { calls_running: number; calls_waiting: number; kv_cache_usage: number; tokens_wasted: number };
  kinds?: Record<string, KindSummary>;
  tasks: TaskRecord[];
  live: number;
  /** Memory of the server's process in bytes. */
  memory?: number;
  machine?: Machine | null;
  completions?: { offered: number; shown: number; accepted: number; acceptedCharacters: number };
  typeThrough?: { lookups: number; hits: number; hitRate: number };
  /** Deadlines in ms. */
  sla?: Record<string, number>;
}

/** Use of the machine by all programs. Shares are from 0 to 1. */
export interface Machine {
  device: string;
  utilization: number;
  memory_used_bytes: number;
  memory_total_bytes: number;
  kv_cache_usage: number;
}

/** How many deadlines of the recent tasks were met. */
export function deadlines(status: ServerStatus): { met: number; total: number } {
  const judged = status.tasks.filter((task) => task.met !== null);
  return { met: judged.filter((task) => task.met).length, total: judged.length };
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
