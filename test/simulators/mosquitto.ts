// A real Mosquitto on a free loopback port, for what no embedded broker can prove: MQTT 5, retained messages, last wills
// and sessions as the head end's broker has them. It can be stopped and started again on the same port.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram, programsOrSkip } from './programs.ts';

export interface MosquittoOptions {
  /** Sessions and retained messages outlive a stop. */
  readonly persistence?: boolean;
  /** TLS with certificates from both ends, by which clients are known. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
  /** With `tls`: those who show no certificate are let in as well. */
  readonly anybody?: boolean;
  readonly aclFile?: string;
  /** The whole configuration in place of all that, for a port and a scratch folder; mqtts where it has a certificate. */
  readonly configuration?: (port: number, folder: string) => string;
  /** Nothing is dropped for a subscriber that is slower than the publisher. */
  readonly unlimitedQueue?: boolean;
}

const START_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 5_000;

/** Whether tests that need Mosquitto can run. */
export function mosquittoOrSkip(...alsoNeeded: string[]): boolean {
  return programsOrSkip('mosquitto', ...alsoNeeded);
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export class Mosquitto {
  readonly port: number;
  readonly #folder: string;
  readonly #secure: boolean;
  #process: ChildProcess | null = null;

  private constructor(port: number, folder: string, secure: boolean) {
    this.port = port;
    this.#folder = folder;
    this.#secure = secure;
  }

  /** Writes the configuration; the broker does not run before `start`. */
  static async prepare(options: MosquittoOptions = {}): Promise<Mosquitto> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'headroom-mosquitto-'));
    const lines = [
      `listener ${port} 127.0.0.1`,
      `allow_anonymous ${options.tls === undefined || options.anybody === true}`,
      ...(options.tls === undefined
        ? []
        : [
            `cafile ${options.tls.ca}`,
            `certfile ${options.tls.cert}`,
            `keyfile ${options.tls.key}`,
            ...(options.anybody === true ? [] : ['require_certificate true', 'use_identity_as_username true']),
          ]),
      ...(options.aclFile === undefined ? [] : [`acl_file ${options.aclFile}`]),
      'set_tcp_nodelay true',
      // Started by root it would become another user, who may not write here.
      `user ${userInfo().username}`,
      `persistence ${options.persistence === true}`,
      `persistence_location ${folder}/`,
      ...(options.unlimitedQueue === true ? ['max_queued_messages 0'] : []),
      'log_type error',
      'log_dest stderr',
    ];
    const text = options.configuration?.(port, folder) ?? `${lines.join('\n')}\n`;
    writeFileSync(join(folder, 'mosquitto.conf'), text);
    return new Mosquitto(port, folder, /^certfile /m.test(text));
  }

  static async start(options: MosquittoOptions = {}): Promise<Mosquitto> {
    const broker = await Mosquitto.prepare(options);
    await broker.start();
    return broker;
  }

  /** 0 while it does not run. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get url(): string {
    return `${this.#secure ? 'mqtts' : 'mqtt'}://127.0.0.1:${this.port}`;
  }

  /** Reads its ACL file anew. */
  reload(): void {
    this.#process?.kill('SIGHUP');
  }

  /** Resolves when the broker takes connections. */
  async start(): Promise<void> {
    const program = findProgram('mosquitto');
    if (program === null) throw new Error('mosquitto not found');
    const child = spawn(program, ['-c', join(this.#folder, 'mosquitto.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    for (const untilMs = Date.now() + START_TIMEOUT_MS; !(await answers(this.port)); await sleep(20)) {
      if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}: ${said.trim()}`);
      if (Date.now() > untilMs) throw new Error(`mosquitto does not answer on port ${this.port}: ${said.trim()}`);
    }
  }

  /** Ends it by its process id; with persistence, what it holds is on disk then. */
  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const impatient = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(impatient);
  }

  /** Stops it and removes its folder. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
