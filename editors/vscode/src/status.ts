/** The status bar item. */

import * as path from "node:path";
import * as vscode from "vscode";
import type { Activity } from "./activity";
import { type ChangedStatus, deadlines, type ServerStatus, tokensPerSecond } from "./protocol";

const ICONS = { Normal: "$(check)", Warning: "$(warning)", Error: "$(error)", Inactive: "$(circle-slash)" } as const;

export class StatusItem implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("cato", vscode.StatusBarAlignment.Right, 100);
  private changed: ChangedStatus = { busy: true, message: "Starting", kind: "Normal" };
  private counters: ServerStatus | undefined;
  private readonly subscription: vscode.Disposable;

  constructor(private readonly activity: Activity) {
    this.item.name = "Cato";
    this.item.command = "cato-lsp.menu";
    this.subscription = activity.onDidChange(() => this.draw());
    this.draw();
    this.item.show();
  }

  /** Show a new status, reported by the server or by the extension. */
  change(changed: ChangedStatus): void {
    this.changed = changed;
    void vscode.commands.executeCommand("setContext", "cato.ready", changed.kind === "Normal" && !changed.busy);
    this.draw();
  }

  count(counters: ServerStatus | undefined): void {
    this.counters = counters;
    this.draw();
  }

  private get text(): string {
    if (this.changed.kind !== "Error" && this.activity.paused) {
      return "$(debug-pause) Cato";
    }
    const title = this.activity.title;
    if (title && this.changed.kind === "Normal") {
      return title === "Cato" ? "$(loading~spin) Cato" : `$(loading~spin) Cato: ${title}`;
    }
    if (this.changed.busy) {
      return "$(loading~spin) Cato";
    }
    return `${ICONS[this.changed.kind]} Cato`;
  }

  private draw(): void {
    const { kind, message } = this.changed;
    this.item.text = this.text;
    this.item.tooltip = this.tooltip();
    const now = this.activity.paused ? "paused" : (this.activity.title ?? message);
    this.item.accessibilityInformation = { label: [`Cato: ${now}`, ...this.facts().map((fact) => fact.join(" "))].join(", ") };
    const colors = { Error: "statusBarItem.errorBackground", Warning: "statusBarItem.warningBackground" } as const;
    this.item.backgroundColor =
      kind === "Error" || kind === "Warning" ? new vscode.ThemeColor(colors[kind]) : undefined;
  }

  private tooltip(): vscode.MarkdownString {
    const tooltip = new vscode.MarkdownString();
    tooltip.appendText(this.activity.paused ? "Completions are paused" : this.changed.message);
    tooltip.appendMarkdown("\n\n");
    for (const [name, value] of this.facts()) {
      tooltip.appendMarkdown(`${name}: `).appendText(value).appendMarkdown("  \n");
    }
    return tooltip;
  }

  /** The server's figures, each with its name. */
  private facts(): [name: string, value: string][] {
    const counters = this.counters;
    if (!counters) {
      return [];
    }
    const { met, total } = deadlines(counters);
    const rate = tokensPerSecond(counters);
    return [
      ["Model", counters.model ? path.basename(counters.model) : "none"],
      ["Deadlines met", total ? `${met} of the last ${total}` : "none yet"],
      ["Tokens per second", rate === undefined ? "not measured yet" : rate.toFixed(0)],
      ["Running", String(counters.live)],
    ];
  }

  dispose(): void {
    this.subscription.dispose();
    this.item.dispose();
  }
}
