// The OPC UA server in a process of its own, so that a test can stop it dead or kill it: takes its options as JSON in
// the first argument, prints its port in a line when it listens, and then moves L1 every 50 ms.
import { OpcuaServer, type ServerOptions } from './opcua-server.ts';

const server = await OpcuaServer.start(JSON.parse(process.argv[2] ?? '{}') as ServerOptions);
let turn = 0;
setInterval(() => server.set('L1', 100 + (turn++ % 10)), 50);
process.stdout.write(`${server.port} ${server.fingerprint}\n`);
