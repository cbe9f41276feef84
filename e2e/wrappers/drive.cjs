// Drives one wrapper package the way its users' programs do. Every line of standard
// input is a call, {"call": "connect", "args": [...]}; "api.listTunnels" is a method
// of what getApi() returns. Every line of standard output is what came of it:
// {"value": ...} or {"error": {"message", "status", "body"}}. Node ends with its
// standard input.
const readline = require("readline");

const wrapper = require(process.argv[2]);
const statuses = [];
const log = [];

function options(given) {
  if (given === null || typeof given !== "object") return given;
  const all = { ...given, onStatusChange: (status) => statuses.push(status), onLogEvent: (line) => log.push(line) };
  // The package of Expo finds the agent as a package; the others are told the folder.
  if (process.env.AGENT_FOLDER) all.binPath = () => process.env.AGENT_FOLDER;
  return all;
}

async function carryOut({ call, args = [] }) {
  if (call === "statuses") return statuses;
  if (call === "log") return log;
  if (call.startsWith("api.")) return wrapper.getApi()[call.slice(4)](...args);
  return wrapper[call](...args.map(options));
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      answer = { value: (await carryOut(JSON.parse(line))) ?? null };
    } catch (error) {
      answer = { error: { message: String(error.message), status: error.response?.statusCode ?? 0, body: error.body ?? null } };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  process.exit(0);
}

main();
