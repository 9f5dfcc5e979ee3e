/** The status view: response times and deadlines. It is updated after each task. */

import * as vscode from "vscode";
import type { ServerStatus } from "./protocol";

export class Dashboard implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;

  constructor(
    private readonly extension: vscode.Uri,
    private readonly ask: () => Promise<ServerStatus | undefined>,
  ) {}

  show(): void {
    if (this.panel) {
      this.panel.reveal();
      return;
    }
    const media = vscode.Uri.joinPath(this.extension, "media");
    this.panel = vscode.window.createWebviewPanel("cato-status", "Cato Status", vscode.ViewColumn.Beside, {
      enableScripts: true,
      localResourceRoots: [media],
    });
    this.panel.onDidDispose(() => {
      this.panel = undefined;
    });
    this.panel.onDidChangeViewState(() => void this.refresh());
    this.panel.webview.onDidReceiveMessage(() => void this.refresh());
    this.panel.webview.html = html(this.panel.webview, media);
  }

  async refresh(known?: ServerStatus): Promise<void> {
    if (this.panel?.visible) {
      const status = known ?? (await this.ask());
      await this.panel.webview.postMessage(status ?? null);
    }
  }

  dispose(): void {
    this.panel?.dispose();
  }
}

function html(webview: vscode.Webview, media: vscode.Uri): string {
  const script = webview.asWebviewUri(vscode.Uri.joinPath(media, "dashboard.js")).toString();
  const style = webview.asWebviewUri(vscode.Uri.joinPath(media, "dashboard.css")).toString();
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ${webview.cspSource}; script-src ${webview.cspSource}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${style}">
<title>Cato Status</title>
</head>
<body>
<main>
<h1>Cato</h1>
<p id="engine" role="status">Waiting for the server</p>
<ul id="figures" aria-label="Summary"></ul>
<h2 id="deadlines">Deadlines</h2>
<table aria-labelledby="deadlines">
<thead><tr><th scope="col">Task</th><th scope="col">Deadline</th><th scope="col">Median</th><th scope="col">P95</th><th scope="col">Met</th><th scope="col">Prompt cached</th></tr></thead>
<tbody id="kinds"><tr><td colspan="6">No task yet</td></tr></tbody>
</table>
<h2>Engine and machine</h2>
<dl id="facts"></dl>
</main>
<script src="${script}"></script>
</body>
</html>`;
}
