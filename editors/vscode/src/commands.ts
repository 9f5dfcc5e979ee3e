/** The commands generate, summarize, explain and translate. They start a task in the server, which reports progress. */

import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { LANGUAGES } from "./languages";

const LAST_LANGUAGE = "lastLanguage";

/** The interface that commands need. */
interface Host {
  client(): LanguageClient | undefined;
  /** Called when a task of this kind has started. */
  started(token: string, kind: string): void;
}

const KINDS = {
  "cato.generate": "generation",
  "cato.summarize": "summarization",
  "cato.explain": "summarization",
  "cato.translate": "translation",
} as const;
type Command = keyof typeof KINDS;

export function registerCommands(context: vscode.ExtensionContext, host: Host): vscode.Disposable[] {
  const register = (name: string, run: (editor: vscode.TextEditor) => Promise<void>): vscode.Disposable =>
    vscode.commands.registerCommand(`cato-lsp.${name}`, async () => {
      const editor = vscode.window.activeTextEditor;
      if (editor) {
        await run(editor);
      }
    });
  const start = (command: Command, range: (editor: vscode.TextEditor) => vscode.Range) => (editor: vscode.TextEditor) =>
    execute(host, command, editor, range(editor));
  return [
    register("generate", start("cato.generate", (editor) => editor.selection)),
    register("summarize", start("cato.summarize", (editor) => editor.selection)),
    register("explain", start("cato.explain", (editor) => editor.selection)),
    register("explainFile", start("cato.explain", (editor) => whole(editor.document))),
    register("translate", (editor) => translate(context, host, editor)),
  ];
}

function whole(document: vscode.TextDocument): vscode.Range {
  return document.validateRange(new vscode.Range(0, 0, document.lineCount, 0));
}

async function translate(context: vscode.ExtensionContext, host: Host, editor: vscode.TextEditor): Promise<void> {
  const last = context.globalState.get<string>(LAST_LANGUAGE);
  const others = LANGUAGES.filter((language) => language !== last);
  const offered = (last ? [last, ...others] : others).filter((language) => language !== editor.document.languageId);
  const language = await vscode.window.showQuickPick(offered, { title: "Translate to" });
  if (language) {
    await context.globalState.update(LAST_LANGUAGE, language);
    const range = editor.selection.isEmpty ? whole(editor.document) : editor.selection;
    await execute(host, "cato.translate", editor, range, language);
  }
}

async function execute(
  host: Host,
  command: Command,
  editor: vscode.TextEditor,
  range: vscode.Range,
  language?: string,
): Promise<void> {
  const running = host.client();
  if (!running?.isRunning()) {
    void vscode.window.showWarningMessage("Cato: the server is not running.");
    return;
  }
  const argument = {
    uri: running.code2ProtocolConverter.asUri(editor.document.uri),
    range: running.code2ProtocolConverter.asRange(range),
    ...(language ? { language } : {}),
  };
  try {
    const token: unknown = await running.sendRequest("workspace/executeCommand", { command, arguments: [argument] });
    if (typeof token === "string") {
      host.started(token, KINDS[command]);
    }
  } catch (error) {
    void vscode.window.showWarningMessage(`Cato: ${error instanceof Error ? error.message : String(error)}`);
  }
}
