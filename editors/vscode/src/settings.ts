/** The server's settings that the user has set in VS Code. Other settings come from `cato.toml`. */

import * as vscode from "vscode";

const SECTION = "cato";
/** Settings of the extension itself, which are not sent to the server. */
const OWN = "cato.server.";

interface Manifest {
  contributes: { configuration: { properties: Record<string, { scope?: string; type?: unknown }> } };
}

/** The section `cato` for the server. */
export function serverSettings(context: vscode.ExtensionContext): Record<string, unknown> {
  const { properties } = (context.extension.packageJSON as Manifest).contributes.configuration;
  const settings: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(properties).filter(([each]) => !each.startsWith(OWN))) {
    const value = chosen(name, property);
    if (value !== undefined) {
      place(settings, name.split(".").slice(1), value);
    }
  }
  return settings;
}

/**
 * The value of a setting; undefined if it is null or empty. A workspace cannot set what has the scope "application" (the
 * model, the engine, deadlines), and can only add to the lists of exclusions.
 */
function chosen(name: string, property: { scope?: string; type?: unknown }): unknown {
  const values = vscode.workspace.getConfiguration().inspect(name);
  if (property.scope === "application") {
    return isSet(values?.globalValue) ? values?.globalValue : undefined;
  }
  const found = [values?.workspaceFolderValue, values?.workspaceValue, values?.globalValue].filter(isSet);
  return property.type === "array" && found.length > 0 ? [...new Set(found.flat())] : found[0];
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

function place(settings: Record<string, unknown>, path: string[], value: unknown): void {
  const [first, ...rest] = path;
  if (first === undefined) {
    return;
  }
  if (rest.length === 0) {
    settings[first] = value;
    return;
  }
  const inner = (settings[first] ??= {}) as Record<string, unknown>;
  place(inner, rest, value);
}

/** The languages for which completion is disabled, and the scope of that setting. */
export function disabledLanguages(): { languages: string[]; target: vscode.ConfigurationTarget } {
  const configuration = vscode.workspace.getConfiguration(SECTION);
  const inWorkspace = configuration.inspect("disabledLanguages")?.workspaceValue !== undefined;
  return {
    languages: configuration.get<string[]>("disabledLanguages", []),
    target: inWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global,
  };
}
