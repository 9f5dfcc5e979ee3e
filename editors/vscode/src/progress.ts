/** Shows the progress of tasks as notifications with a cancel button; the client library would only show a status text. */

import * as vscode from "vscode";
import type {
  LanguageClient,
  ProgressToken,
  WorkDoneProgressBegin,
  WorkDoneProgressEnd,
  WorkDoneProgressReport,
} from "vscode-languageclient/node";

type Step = WorkDoneProgressBegin | WorkDoneProgressReport | WorkDoneProgressEnd;

interface Shown {
  report(message: string | undefined): void;
  end(): void;
}

export class TaskProgress {
  private readonly shown = new Map<ProgressToken, Shown>();
  private readonly kinds = new Map<ProgressToken, string>();

  /** @param expectation returns the usual time of a kind of task, as text. */
  constructor(
    private readonly client: () => LanguageClient | undefined,
    private readonly expectation: (kind: string) => string | undefined,
  ) {}

  /** Called when a command has started a task of this kind. Its progress may already have begun. */
  started(token: ProgressToken, kind: string): void {
    this.kinds.set(token, kind);
  }

  handle(token: ProgressToken, step: Step, next: () => void): void {
    if (step.kind === "begin" && step.cancellable) {
      this.begin(token, step);
      return;
    }
    const shown = this.shown.get(token);
    if (shown && step.kind === "report") {
      shown.report(step.message);
      return;
    }
    if (shown && step.kind === "end") {
      this.shown.delete(token);
      this.kinds.delete(token);
      shown.end();
    }
    next();
  }

  /** Close all notifications, because the server has ended. */
  endAll(): void {
    for (const shown of this.shown.values()) {
      shown.end();
    }
    this.shown.clear();
    this.kinds.clear();
  }

  private begin(token: ProgressToken, { title, message }: WorkDoneProgressBegin): void {
    let resolve = (): void => {};
    let progress: vscode.Progress<{ message: string }> | undefined;
    const ended = new Promise<void>((end) => {
      resolve = end;
    });
    const report = (text: string | undefined): void => {
      const usual = this.expectation(this.kinds.get(token) ?? "");
      progress?.report({ message: [text, usual].filter(Boolean).join(" · ") });
    };
    this.shown.set(token, { report, end: () => resolve() });
    const options = { location: vscode.ProgressLocation.Notification, cancellable: true, title };
    void vscode.window.withProgress(options, async (given, cancel) => {
      progress = given;
      report(message);
      const subscription = cancel.onCancellationRequested(
        () => void this.client()?.sendNotification("window/workDoneProgress/cancel", { token }),
      );
      await ended;
      subscription.dispose();
    });
  }
}
