/** Shows answers while they are generated. The text of an edit appears in a read-only editor to the side,
 * other results in an untitled document that stays open. */

import * as vscode from "vscode";
import { becomesEdit, type Preview } from "./protocol";

const SCHEME = "cato-preview";

/** Fills a document with a growing text: one edit at a time, always with the latest text. */
class Filling {
  private shown = "";
  private wanted = "";
  private working: Promise<void> | undefined;

  constructor(readonly document: vscode.TextDocument) {}

  grow(text: string): Promise<void> {
    this.wanted = text;
    this.working ??= this.work().finally(() => {
      this.working = undefined;
    });
    return this.working;
  }

  private async work(): Promise<void> {
    while (this.wanted !== this.shown && !this.document.isClosed) {
      const text = this.wanted;
      const edit = new vscode.WorkspaceEdit();
      const all = new vscode.Range(new vscode.Position(0, 0), this.document.lineAt(this.document.lineCount - 1).range.end);
      if (text.startsWith(this.shown)) {
        edit.insert(this.document.uri, all.end, text.slice(this.shown.length));
      } else {
        edit.replace(this.document.uri, all, text);
      }
      if (!(await vscode.workspace.applyEdit(edit))) {
        return;
      }
      this.shown = text;
    }
  }
}

export class Previews implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly live = new Map<string, { uri: vscode.Uri; text: string }>();
  private readonly opening = new Map<string, Promise<Filling>>();
  private readonly registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.live.get(uri.query)?.text ?? "";
  }

  async show(preview: Preview): Promise<void> {
    if (becomesEdit(preview)) {
      await this.showBeside(preview);
    } else if (preview.text || !preview.done) {
      await this.fill(preview);
    }
    if (preview.done) {
      this.opening.delete(preview.id);
      if (preview.error) {
        vscode.window.setStatusBarMessage(`Cato: ${preview.error}`, 8000);
      }
    }
  }

  /** A new document that stays open. */
  private async fill(preview: Preview): Promise<void> {
    let filling = this.opening.get(preview.id);
    if (!filling) {
      filling = openUntitled(preview.language);
      this.opening.set(preview.id, filling);
    }
    await (await filling).grow(preview.text);
  }

  /** A read-only editor that closes when the edit was applied. */
  private async showBeside(preview: Preview): Promise<void> {
    const known = this.live.get(preview.id);
    if (preview.done) {
      this.live.delete(preview.id);
      if (known) {
        await closeTab(known.uri);
      }
    } else if (known) {
      known.text = preview.text;
      this.changed.fire(known.uri);
    } else if (preview.text) {
      const uri = vscode.Uri.from({ scheme: SCHEME, path: preview.title.replaceAll("/", "∕"), query: preview.id });
      this.live.set(preview.id, { uri, text: preview.text });
      const document = await vscode.workspace.openTextDocument(uri);
      await vscode.languages.setTextDocumentLanguage(document, await knownLanguage(preview.language));
      await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true, preview: true });
      if (!this.live.has(preview.id)) {
        await closeTab(uri);
      }
    }
  }

  dispose(): void {
    this.registration.dispose();
    this.changed.dispose();
  }
}

async function openUntitled(language: string): Promise<Filling> {
  const document = await vscode.workspace.openTextDocument({ language: await knownLanguage(language) });
  await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true, preview: false });
  return new Filling(document);
}

async function knownLanguage(language: string): Promise<string> {
  return (await vscode.languages.getLanguages()).includes(language) ? language : "plaintext";
}

async function closeTab(uri: vscode.Uri): Promise<void> {
  const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
  const ours = tabs.filter((tab) => tab.input instanceof vscode.TabInputText && tab.input.uri.toString() === uri.toString());
  await vscode.window.tabGroups.close(ours);
}
