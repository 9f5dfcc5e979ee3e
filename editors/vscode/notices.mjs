// Writes the licences of the packages that are bundled into the extension to the file named by the argument.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const listed = execFileSync("npm", ["ls", "--omit=dev", "--all", "--parseable"], { encoding: "utf8" }).trim().split("\n").slice(1);
const notices = listed.sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const files = readdirSync(folder).filter((each) => /^(licen[cs]e|notice|thirdparty)/i.test(each));
  return [`${name} ${version}: ${license}`, ...files.map((each) => readFileSync(join(folder, each), "utf8").trim())].join("\n\n");
});
writeFileSync(process.argv[2], `${notices.join(`\n\n${"-".repeat(80)}\n\n`)}\n`);
