// A three-node NATS JetStream cluster with MQTT listeners on loopback, as processes of its own: what the head end's
// side can run on when one broker is not enough. Nodes can be killed, stopped and started again on the same ports.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram } from '../simulators/programs.ts';

const NODES = 3;
/** Hundreds of sessions, each kept on three nodes, take a while to be caught up with. */
const HEALTHY_TIMEOUT_MS = 120_000;

export interface ClusterNode {
  readonly name: string;
  readonly mqttPort: number;
  readonly monitorPort: number;
  readonly file: string;
  process: ChildProcess | null;
}

export class NatsCluster {
  readonly nodes: readonly ClusterNode[];
  readonly #folder: string;

  private constructor(nodes: readonly ClusterNode[], folder: string) {
    this.nodes = nodes;
    this.#folder = folder;
  }

  /** Resolves when all three nodes are healthy. Throws where nats-server is not installed. */
  static async start(): Promise<NatsCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'headroom-nats-'));
    const ports = await freePorts(NODES * 4);
    const routes = Array.from({ length: NODES }, (_, index) => `nats://127.0.0.1:${ports[index * 4 + 2]}`);
    const nodes = Array.from({ length: NODES }, (_, index): ClusterNode => {
      const [client = 0, mqtt = 0, cluster = 0, monitor = 0] = ports.slice(index * 4, index * 4 + 4);
      const name = `node-${index + 1}`;
      const file = join(folder, `${name}.conf`);
      const lines = [
        `server_name: ${name}`,
        `listen: 127.0.0.1:${client}`,
        `http: 127.0.0.1:${monitor}`,
        `jetstream { store_dir: "${join(folder, name)}", max_mem: 256MB, max_file: 4GB }`,
        // Everything that is acknowledged is on a majority of the nodes.
        `mqtt { listen: "127.0.0.1:${mqtt}", stream_replicas: ${NODES}, ack_wait: "5s", max_ack_pending: 1000 }`,
        `cluster { name: headroom, listen: 127.0.0.1:${cluster}, routes: [${routes.map((route) => `"${route}"`).join(', ')}] }`,
      ];
      writeFileSync(file, `${lines.join('\n')}\n`);
      return { name, mqttPort: mqtt, monitorPort: monitor, file, process: null };
    });
    const made = new NatsCluster(nodes, folder);
    for (const node of nodes) made.startNode(node);
    for (const node of nodes) await made.healthy(node);
    return made;
  }

  urlOf(node: ClusterNode): string {
    return `mqtt://127.0.0.1:${node.mqttPort}`;
  }

  startNode(node: ClusterNode): void {
    const program = findProgram('nats-server');
    if (program === null) throw new Error('nats-server not found');
    node.process = spawn(program, ['-c', node.file, '-l', join(this.#folder, `${node.name}.log`)], { stdio: 'ignore' });
  }

  /** Ends a node by `signal` and waits until it is gone. */
  async stopNode(node: ClusterNode, signal: NodeJS.Signals): Promise<void> {
    const child = node.process;
    node.process = null;
    if (child === null || child.exitCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  /** Resolves when the node says that it has caught up with the cluster, and takes MQTT connections. */
  async healthy(node: ClusterNode): Promise<void> {
    for (const untilMs = Date.now() + HEALTHY_TIMEOUT_MS; Date.now() < untilMs; await sleep(200)) {
      const answer = await fetch(`http://127.0.0.1:${node.monitorPort}/healthz?js-server-only=true`).catch(() => null);
      if (answer?.status === 200 && (await answers(node.mqttPort))) return;
    }
    throw new Error(`${node.name} is not healthy after ${HEALTHY_TIMEOUT_MS / 1000} s`);
  }

  async remove(): Promise<void> {
    for (const node of this.nodes) await this.stopNode(node, 'SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ports.push((server.address() as AddressInfo).port);
  }
  for (const server of servers) server.close();
  return ports;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const settle = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
