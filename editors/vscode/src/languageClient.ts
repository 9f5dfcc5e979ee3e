/** The language client: starts the server and connects it with the editor. The only module that loads the client
 * library, which is a separate file in the package. */

import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type * as vscode from "vscode";
import {
  LanguageClient,
  type LanguageClientOptions,
  type Middleware,
  RevealOutputChannelOn,
  State,
  type StaticFeature,
} from "vscode-languageclient/node";
import type { Activity } from "./activity";
import type { TaskProgress } from "./progress";
import type { FoundServer } from "./server";

/** A line of the server's log: date, time, level, and the rest. */
const LEVELED = /^[\d-]+ [\d:,]+ (DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)$/;
const METHODS = { DEBUG: "debug", INFO: "info", WARNING: "warn", ERROR: "error", CRITICAL: "error" } as const;

/** Copy the server's standard error to the log, each line at its own level. The log of the shared server is part of it. */
function copyLog(lines: Readable, log: vscode.LogOutputChannel): void {
  createInterface({ input: lines, crlfDelay: Infinity }).on("line", (line) => {
    const [, level, text] = LEVELED.exec(line) ?? [];
    log[METHODS[(level ?? "INFO") as keyof typeof METHODS]](text ?? line);
  });
}

/** Announces that the editor shows answers while they are generated. */
const previewFeature: StaticFeature = {
  fillClientCapabilities(capabilities) {
    capabilities.experimental = { ...(capabilities.experimental as object | undefined), catoPreview: true };
  },
  initialize() {},
  getState: () => ({ kind: "static" }),
  clear() {},
};

function middleware(settings: () => unknown, activity: Activity, progress: TaskProgress): Middleware {
  return {
    async provideInlineCompletionItems(document, position, context, token, next) {
      if (activity.paused) {
        return [];
      }
      const answer = await next(document, position, context, token);
      activity.completed(Boolean(Array.isArray(answer) ? answer.length : answer?.items.length));
      return answer;
    },
    handleWorkDoneProgress(token, params, next) {
      if (params.kind === "begin") {
        activity.begin(token, params.title);
      } else if (params.kind === "end") {
        activity.end(token);
      }
      progress.handle(token, params, () => next(token, params));
    },
    workspace: {
      async configuration(params, token, next) {
        const others = await next(params, token);
        return Array.isArray(others)
          ? others.map((other, index) => (params.items[index]?.section === "cato" ? settings() : other) as typeof other)
          : others;
      },
    },
  };
}

/**
 * @param settings returns the server's settings; called at the start and after each change.
 * @param ended called when the server has ended.
 */
export function createClient(
  server: FoundServer,
  settings: () => unknown,
  log: vscode.LogOutputChannel,
  activity: Activity,
  progress: TaskProgress,
  ended: () => void,
): LanguageClient {
  const options: LanguageClientOptions = {
    documentSelector: [{ scheme: "file" }, { scheme: "untitled" }],
    initializationOptions: settings(),
    outputChannel: log,
    stdioOptions: { stdout: copyLog, stderr: copyLog },
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    middleware: middleware(settings, activity, progress),
  };
  // A file such as numbers.py in a workspace must not replace Python's own module.
  const environment = { ...process.env, PYTHONSAFEPATH: "1" };
  const serverOptions = { command: server.path, args: [server.standalone ? "--standalone" : "--stdio"], options: { env: environment } };
  const client = new LanguageClient("cato", "Cato", serverOptions, options);
  client.registerFeature(previewFeature);
  client.onDidChangeState(({ newState }) => {
    if (newState === State.Stopped) {
      ended();
    }
  });
  return client;
}
