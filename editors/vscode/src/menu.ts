/** The menu of the status bar item. */

import * as vscode from "vscode";
import type { Activity } from "./activity";
import { disabledLanguages } from "./settings";

export const PAUSE_MINUTES = 10;

export async function showMenu(activity: Activity): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  const disabled = language !== undefined && disabledLanguages().languages.includes(language);
  const entries = [
    activity.paused
      ? { label: "$(debug-start) Resume completions", command: "cato-lsp.resume" }
      : { label: `$(debug-pause) Pause completions for ${PAUSE_MINUTES} minutes`, command: "cato-lsp.pause" },
    ...(language === undefined
      ? []
      : [{ label: `$(circle-slash) ${disabled ? "Enable" : "Disable"} for ${language}`, command: "cato-lsp.toggleLanguage" }]),
    { label: "$(dashboard) Show status", command: "cato-lsp.showStatus" },
    { label: "$(output) Open log", command: "cato-lsp.showLog" },
    { label: "$(debug-restart) Restart server", command: "cato-lsp.restart" },
  ];
  const choice = await vscode.window.showQuickPick(entries, { title: "Cato" });
  if (choice) {
    await vscode.commands.executeCommand(choice.command);
  }
}

export async function toggleLanguage(): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  if (language === undefined) {
    return;
  }
  const { languages, target } = disabledLanguages();
  const others = languages.filter((each) => each !== language);
  const now = others.length < languages.length ? others : [...languages, language];
  await vscode.workspace.getConfiguration("cato").update("disabledLanguages", now, target);
}
