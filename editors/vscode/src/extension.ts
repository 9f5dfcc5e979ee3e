/** The extension: starts and stops the client, and connects its parts. */

import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { Activity } from "./activity";
import { registerCommands } from "./commands";
import { Dashboard } from "./dashboard";
import { installServer } from "./install";
import { PAUSE_MINUTES, showMenu, toggleLanguage } from "./menu";
import { Previews } from "./preview";
import { type ChangedStatus, DID_CHANGE_STATUS, PREVIEW, type Preview, type ServerStatus, STATUS } from "./protocol";
import { findServer } from "./server";
import { serverSettings } from "./settings";
import { TaskProgress } from "./progress";
import { StatusItem } from "./status";

let extension: Extension | undefined;

export function activate(context: vscode.ExtensionContext): void {
  extension = new Extension(context);
  // Not awaited, so that the editor does not wait for the server.
  void extension.start();
}

export async function deactivate(): Promise<void> {
  await extension?.stop();
}

class Extension {
  private readonly log = vscode.window.createOutputChannel("Cato", { log: true });
  private readonly activity = new Activity();
  private readonly status = new StatusItem(this.activity);
  private readonly previews = new Previews();
  private readonly progress = new TaskProgress(
    () => this.client,
    (kind) => this.expectation(kind),
  );
  private counters: ServerStatus | undefined;
  private readonly dashboard: Dashboard;
  private client: LanguageClient | undefined;

  constructor(private readonly context: vscode.ExtensionContext) {
    this.dashboard = new Dashboard(context.extensionUri, () => this.ask());
    const commands: [string, () => unknown][] = [
      ["menu", () => showMenu(this.activity)],
      ["showStatus", () => this.dashboard.show()],
      ["showLog", () => this.log.show()],
      ["pause", () => this.activity.pauseFor(PAUSE_MINUTES)],
      ["resume", () => this.activity.resume()],
      ["toggleLanguage", toggleLanguage],
      ["restart", () => this.restart()],
      ["install", () => this.install()],
    ];
    context.subscriptions.push(
      this.log,
      this.activity,
      this.status,
      this.previews,
      this.dashboard,
      this.activity.onDidCount(() => this.refresh()),
      ...commands.map(([name, run]) => vscode.commands.registerCommand(`cato-lsp.${name}`, run)),
      ...registerCommands(context, {
        client: () => this.client,
        started: (token, kind) => this.progress.started(token, kind),
      }),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration("cato.server.path") || event.affectsConfiguration("cato.server.standalone")) {
          void this.restart();
        }
      }),
    );
  }

  async start(): Promise<void> {
    try {
      const server = await findServer(this.context);
      if (!server) {
        await this.offerInstall();
        return;
      }
      this.log.info(`Server: ${server.path}, ${server.why}`);
      // Loaded on demand: the client library is nine tenths of the code, and would delay activation.
      const { createClient } = await import("./languageClient");
      const client = createClient(
        server,
        () => serverSettings(this.context),
        this.log,
        this.activity,
        this.progress,
        () => this.ended(),
      );
      this.client = client;
      client.onNotification(DID_CHANGE_STATUS, (status: ChangedStatus) => {
        this.status.change(status);
        void this.refresh();
      });
      client.onNotification(PREVIEW, (preview: Preview) => this.previews.show(preview));
      await client.start();
    } catch (error) {
      this.log.error(String(error));
      this.fail(`The server could not be started. ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    try {
      await client?.dispose();
    } catch (error) {
      this.log.warn(String(error));
    }
  }

  private ended(): void {
    this.activity.reset();
    this.progress.endAll();
    this.fail("The server has ended. The log shows why.");
  }

  private async restart(): Promise<void> {
    await this.stop();
    this.status.change({ busy: true, message: "Starting", kind: "Normal" });
    await this.start();
  }

  private async install(): Promise<void> {
    if (await installServer(this.context, this.log)) {
      await this.restart();
    }
  }

  private async offerInstall(): Promise<void> {
    this.fail("The server is not installed.");
    const choice = await vscode.window.showInformationMessage(
      "Cato's server, cato-lsp, was not found: not in the active Python environment, nor in .venv, nor on PATH.",
      "Install It",
      "Set Its Path",
    );
    if (choice === "Install It") {
      await this.install();
    } else if (choice) {
      await vscode.commands.executeCommand("workbench.action.openSettings", "cato.server.path");
    }
  }

  /** The expected time of a task of this kind, from earlier tasks. */
  private expectation(kind: string): string | undefined {
    const usual = this.counters?.kinds?.[kind]?.e2e_p50;
    return typeof usual === "number" ? `usually ${usual < 1 ? "under 1 s" : `${usual.toFixed(0)} s`}` : undefined;
  }

  private fail(message: string): void {
    this.status.change({ busy: false, message, kind: "Error" });
  }

  private async ask(): Promise<ServerStatus | undefined> {
    try {
      return this.client?.isRunning() ? await this.client.sendRequest<ServerStatus>(STATUS, {}) : undefined;
    } catch {
      return undefined; // The server ended before its response.
    }
  }

  private async refresh(): Promise<void> {
    const status = await this.ask();
    this.counters = status;
    this.status.count(status);
    await this.dashboard.refresh(status);
  }
}
