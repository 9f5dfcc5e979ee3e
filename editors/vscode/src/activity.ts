/** The current activity: running tasks, pauses, and changes of the server's counters. */

import * as vscode from "vscode";

const SETTLE_MS = 1000;

export class Activity implements vscode.Disposable {
  private readonly running = new Map<string | number, string>();
  private readonly changed = new vscode.EventEmitter<void>();
  private readonly counted = new vscode.EventEmitter<void>();
  private settling: NodeJS.Timeout | undefined;
  private pause: NodeJS.Timeout | undefined;
  private suggested = false;

  /** Fired when running tasks or the pause change. */
  readonly onDidChange = this.changed.event;
  /** Fired when the server's status should be requested again; at most once a second. */
  readonly onDidCount = this.counted.event;

  get paused(): boolean {
    return this.pause !== undefined;
  }

  /** Title of a running task. */
  get title(): string | undefined {
    return [...this.running.values()].at(-1);
  }

  begin(token: string | number, title: string): void {
    this.running.set(token, title);
    this.changed.fire();
  }

  end(token: string | number): void {
    this.running.delete(token);
    this.changed.fire();
    this.count();
  }

  completed(offered: boolean): void {
    if (offered && !this.suggested) {
      this.suggested = true;
      void vscode.commands.executeCommand("setContext", "cato.suggested", true);
    }
    this.count();
  }

  pauseFor(minutes: number): void {
    this.resume();
    this.pause = setTimeout(() => this.resume(), minutes * 60_000);
    this.changed.fire();
  }

  resume(): void {
    clearTimeout(this.pause);
    this.pause = undefined;
    this.changed.fire();
  }

  /** Remove the tasks of a server that has ended. */
  reset(): void {
    this.running.clear();
    this.changed.fire();
  }

  private count(): void {
    this.settling ??= setTimeout(() => {
      this.settling = undefined;
      this.counted.fire();
    }, SETTLE_MS);
  }

  dispose(): void {
    clearTimeout(this.settling);
    clearTimeout(this.pause);
    this.changed.dispose();
    this.counted.dispose();
  }
}
