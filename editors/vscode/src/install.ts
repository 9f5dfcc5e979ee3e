/** Installs the server in a private Python environment. */

import { execFile, spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { promisify } from "node:util";
import * as vscode from "vscode";
import { privateEnvironment, programIn } from "./server";

const run = promisify(execFile);
const PYTHONS = ["python3.11", "python3.12", "python3.13", "python3.14", "python3", "python"];

/** Install the server, with progress. Returns whether it succeeded. */
export async function installServer(context: vscode.ExtensionContext, log: vscode.LogOutputChannel): Promise<boolean> {
  if (process.platform !== "linux") {
    void vscode.window.showErrorMessage(
      "Cato's server runs on Linux, as vLLM does. On Windows open the folder in WSL, on a Mac in a dev container: the server is then installed there.",
    );
    return false;
  }
  const python = await findPython();
  if (!python) {
    void vscode.window.showErrorMessage(
      "Cato's server needs Python 3.11 to 3.14 with venv and pip, and none was found on PATH. On Debian and Ubuntu: sudo apt install python3 python3-venv. Then try again.",
    );
    return false;
  }
  const options = { location: vscode.ProgressLocation.Notification, title: "Installing the Cato server", cancellable: true };
  try {
    await vscode.window.withProgress(options, (progress, token) => install(context, log, python, progress, token));
    return true;
  } catch (error) {
    // An incomplete environment would be found by the search, and would not work.
    await fs.rm(privateEnvironment(context), { recursive: true, force: true });
    if (error instanceof vscode.CancellationError) {
      return false;
    }
    log.error(String(error));
    const choice = await vscode.window.showErrorMessage(`The Cato server could not be installed. ${String(error)}`, "Open Log");
    if (choice) {
      log.show();
    }
    return false;
  }
}

async function findPython(): Promise<string | undefined> {
  for (const python of PYTHONS) {
    try {
      await run(python, ["-c", "import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))"]);
      return python;
    } catch {
      continue;
    }
  }
  return undefined;
}

async function install(
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
  python: string,
  progress: vscode.Progress<{ message: string }>,
  token: vscode.CancellationToken,
): Promise<void> {
  const environment = privateEnvironment(context);
  const source = vscode.workspace.getConfiguration("cato").get<string>("server.source", "cato-lsp");
  const inside = (program: string, ...args: string[]): Promise<void> =>
    call(programIn(environment, program), args, log, token, (message) => progress.report({ message }));
  await fs.mkdir(path.dirname(environment), { recursive: true });
  progress.report({ message: "making a Python environment" });
  await call(python, ["-m", "venv", "--clear", environment], log, token);
  progress.report({ message: "the server" });
  try {
    await inside("python", "-m", "pip", "--disable-pip-version-check", "--no-input", "install", source);
  } catch (error) {
    if (error instanceof vscode.CancellationError) {
      throw error;
    }
    throw new Error(`pip cannot install ${source}; set cato.server.source to the folder of a checkout. ${String(error)}`);
  }
  // The same command as in a terminal: it chooses the engine, reports what it downloads, and checks the result.
  await inside("cato-lsp", "setup");
}

function call(
  program: string,
  args: string[],
  log: vscode.LogOutputChannel,
  token: vscode.CancellationToken,
  show: (line: string) => void = () => {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    const cancel = token.onCancellationRequested(() => child.kill());
    let last = "";
    const note = (data: Buffer): void => {
      const text = data.toString().trim();
      if (text) {
        last = text.split("\n").at(-1)?.trim() ?? last;
        show(last);
        log.info(text);
      }
    };
    child.stdout.on("data", note);
    child.stderr.on("data", note);
    child.on("error", reject);
    child.on("close", (code) => {
      cancel.dispose();
      if (token.isCancellationRequested) {
        reject(new vscode.CancellationError());
      } else if (code === 0) {
        resolve();
      } else {
        reject(new Error(last));
      }
    });
  });
}
