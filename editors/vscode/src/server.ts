/** Finds the server program. */

import * as fs from "node:fs/promises";
import * as path from "node:path";
import * as vscode from "vscode";

const WINDOWS = process.platform === "win32";

/** The part of the Python extension's API that is used here. */
interface PythonApi {
  environments: {
    getActiveEnvironmentPath(): { path: string };
    resolveEnvironment(path: unknown): Promise<{ executable: { uri?: vscode.Uri } } | undefined>;
  };
}

/** The program in the folder of a virtual environment. */
export function programIn(environment: string, name = "cato-lsp"): string {
  return path.join(environment, WINDOWS ? "Scripts" : "bin", WINDOWS ? `${name}.exe` : name);
}

/** The folder of the environment that *Cato: Install Server* creates. */
export function privateEnvironment(context: vscode.ExtensionContext): string {
  return path.join(context.globalStorageUri.fsPath, "server");
}

export interface FoundServer {
  path: string;
  why: string;
  /** Whether this window has its own server process. */
  standalone: boolean;
}

/**
 * Find the server, in this order: the setting `cato.server.path`, the active Python environment, the workspace's `.venv`,
 * PATH, the private environment.
 *
 * @throws Error if the setting names a file that cannot be run. The search does not continue in that case.
 */
export async function findServer(context: vscode.ExtensionContext): Promise<FoundServer | undefined> {
  const configuration = vscode.workspace.getConfiguration("cato");
  const standalone = configuration.get<boolean>("server.standalone", false);
  const set = configuration.get<string>("server.path", "").trim();
  if (set) {
    if (!(await isProgram(set))) {
      throw new Error(`cato.server.path is ${set}, which is not a program that can be run.`);
    }
    return { path: set, why: "set by cato.server.path", standalone };
  }
  const candidates: Omit<FoundServer, "standalone">[] = [];
  const python = await activePython();
  if (python) {
    candidates.push({ path: path.join(path.dirname(python), path.basename(programIn(""))), why: "of the active Python environment" });
  }
  for (const folder of vscode.workspace.workspaceFolders ?? []) {
    candidates.push({ path: programIn(path.join(folder.uri.fsPath, ".venv")), why: "of the workspace's .venv" });
  }
  for (const folder of (process.env["PATH"] ?? "").split(path.delimiter).filter(Boolean)) {
    candidates.push({ path: path.join(folder, path.basename(programIn(""))), why: "on PATH" });
  }
  candidates.push({ path: programIn(privateEnvironment(context)), why: "installed by this extension" });
  for (const candidate of candidates) {
    if (await isProgram(candidate.path)) {
      return { ...candidate, standalone };
    }
  }
  return undefined;
}

async function activePython(): Promise<string | undefined> {
  const extension = vscode.extensions.getExtension<PythonApi>("ms-python.python");
  if (!extension) {
    return undefined;
  }
  const { environments } = await extension.activate();
  const resolved = await environments.resolveEnvironment(environments.getActiveEnvironmentPath());
  return resolved?.executable.uri?.fsPath;
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await fs.access(file, fs.constants.X_OK);
    return (await fs.stat(file)).isFile();
  } catch {
    return false;
  }
}
