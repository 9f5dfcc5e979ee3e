/** The language client: the server's process, and what passes between it and the editor. */

import * as vscode from "vscode";
import {
  LanguageClient,
  type LanguageClientOptions,
  type Middleware,
  RevealOutputChannelOn,
  type StaticFeature,
} from "vscode-languageclient/node";
import type { Activity } from "./activity";
import type { TaskProgress } from "./progress";
import type { FoundServer } from "./server";

/** Settings of this extension, which the server does not know. */
const OWN_SETTINGS = new Set(["server", "trace"]);

/** Announces that growing answers are welcome. */
const previewFeature: StaticFeature = {
  fillClientCapabilities(capabilities) {
    capabilities.experimental = { ...(capabilities.experimental as object | undefined), catoPreview: true };
  },
  initialize() {},
  getState: () => ({ kind: "static" }),
  clear() {},
};

/** The section `cato` without what is the extension's own. */
function serverSettings(section: unknown): unknown {
  if (typeof section !== "object" || section === null) {
    return section;
  }
  return Object.fromEntries(Object.entries(section).filter(([key]) => !OWN_SETTINGS.has(key)));
}

function middleware(activity: Activity, progress: TaskProgress): Middleware {
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
        const answer = await next(params, token);
        return Array.isArray(answer) ? (answer.map(serverSettings) as typeof answer) : answer;
      },
    },
  };
}

export function createClient(
  server: FoundServer,
  log: vscode.LogOutputChannel,
  activity: Activity,
  progress: TaskProgress,
): LanguageClient {
  const settings = JSON.parse(JSON.stringify(vscode.workspace.getConfiguration("cato"))) as unknown;
  const options: LanguageClientOptions = {
    documentSelector: [{ scheme: "file" }, { scheme: "untitled" }],
    initializationOptions: serverSettings(settings),
    outputChannel: log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    middleware: middleware(activity, progress),
  };
  // A workspace's numbers.py must not stand in for Python's own module.
  const environment = { ...process.env, PYTHONSAFEPATH: "1" };
  const serverOptions = { command: server.path, args: ["--stdio"], options: { env: environment } };
  const client = new LanguageClient("cato", "Cato", serverOptions, options);
  client.registerFeature(previewFeature);
  return client;
}
