/** Generate, summarize, explain, translate: they only start the work in the server, which then reports progress. */

import * as vscode from "vscode";
import { ExecuteCommandRequest, type LanguageClient } from "vscode-languageclient/node";

const LANGUAGES = ["python", "javascript", "typescript", "go", "rust", "java", "c", "cpp"];
const LAST_LANGUAGE = "lastLanguage";

type ClientOf = () => LanguageClient | undefined;

export function registerCommands(context: vscode.ExtensionContext, client: ClientOf): vscode.Disposable[] {
  const register = (name: string, run: (editor: vscode.TextEditor) => Promise<void>): vscode.Disposable =>
    vscode.commands.registerCommand(`cato-lsp.${name}`, async () => {
      const editor = vscode.window.activeTextEditor;
      if (editor) {
        await run(editor);
      }
    });
  const start = (command: string, range: (editor: vscode.TextEditor) => vscode.Range) => (editor: vscode.TextEditor) =>
    execute(client, command, editor, range(editor));
  return [
    register("generate", start("cato.generate", (editor) => editor.selection)),
    register("summarize", start("cato.summarize", (editor) => editor.selection)),
    register("explain", start("cato.explain", (editor) => editor.selection)),
    register("explainFile", start("cato.explain", (editor) => whole(editor.document))),
    register("translate", (editor) => translate(context, client, editor)),
  ];
}

function whole(document: vscode.TextDocument): vscode.Range {
  return document.validateRange(new vscode.Range(0, 0, document.lineCount, 0));
}

async function translate(context: vscode.ExtensionContext, client: ClientOf, editor: vscode.TextEditor): Promise<void> {
  const last = context.globalState.get<string>(LAST_LANGUAGE);
  const others = LANGUAGES.filter((language) => language !== last);
  const offered = (last ? [last, ...others] : others).filter((language) => language !== editor.document.languageId);
  const language = await vscode.window.showQuickPick(offered, { title: "Translate to" });
  if (language) {
    await context.globalState.update(LAST_LANGUAGE, language);
    const range = editor.selection.isEmpty ? whole(editor.document) : editor.selection;
    await execute(client, "cato.translate", editor, range, language);
  }
}

async function execute(
  client: ClientOf,
  command: string,
  editor: vscode.TextEditor,
  range: vscode.Range,
  language?: string,
): Promise<void> {
  const running = client();
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
    await running.sendRequest(ExecuteCommandRequest.type, { command, arguments: [argument] });
  } catch (error) {
    void vscode.window.showWarningMessage(`Cato: ${error instanceof Error ? error.message : String(error)}`);
  }
}
