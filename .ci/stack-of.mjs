// Where a Node.js process is in its JavaScript, even while it never comes back to its event loop:
// `node stack-of.mjs PID` prints the call frames, the innermost first. Needs port 9229 of loopback.
const INSPECTOR = 'http://127.0.0.1:9229/json';
process.kill(Number(process.argv[2]), 'SIGUSR1');
setTimeout(() => process.exit(1), 10_000);
const none = () => undefined;
let targets;
while (targets === undefined) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  targets = await fetch(INSPECTOR).then((answer) => answer.json(), none);
}
const socket = new WebSocket(targets[0].webSocketDebuggerUrl);
const say = (id, method) => socket.send(JSON.stringify({ id, method }));
const urls = new Map();
socket.onopen = () => {
  say(1, 'Debugger.enable');
  say(2, 'Debugger.pause');
};
socket.onmessage = ({ data }) => {
  const { method, params } = JSON.parse(data);
  if (method === 'Debugger.scriptParsed') urls.set(params.scriptId, params.url);
  if (method !== 'Debugger.paused') return;
  for (const { functionName, location } of params.callFrames)
    process.stdout.write(
      `  at ${functionName || '(anonymous)'} ${urls.get(location.scriptId)}:${location.lineNumber + 1}\n`,
    );
  process.exit(0);
};
