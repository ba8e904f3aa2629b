// A TCP proxy that fails on purpose: it refuses, cuts, holds everything back (half-open), or holds back what comes from
// the server alone (acknowledgements). Clients see what a bad link shows them; the server behind it is well.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export type LinkFault = 'refused' | 'halfOpen' | 'noAnswers' | 'slow';

const SLOW_MS = 200;
/** Below those that the system gives to whoever asks for any. */
let nextPort = 15_000;

export class BadLink {
  connections = 0;
  readonly #targetPort: number;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #server: Server;
  #fault: LinkFault | null = null;

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ noDelay: true }, (client) => this.#join(client));
  }

  /** Listens on a loopback port that nobody else takes while connects are refused. */
  async start(): Promise<number> {
    for (;;) {
      const port = nextPort++;
      try {
        await this.#listen(port);
        return port;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
  }

  async #listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Null mends it: connections that hung are ended then, as a rebooted link ends them. */
  async set(fault: LinkFault | null): Promise<void> {
    const before = this.#fault;
    if (fault === before) return;
    this.#fault = fault;
    if (fault === 'refused') {
      const { port } = this;
      this.#server.close();
      this.#cutAll();
      this.#server = createServer({ noDelay: true }, (client) => this.#join(client));
      this.#reopen = () => this.#listen(port);
      return;
    }
    if (before === 'refused') await this.#reopen?.();
    else if (before === 'halfOpen' || before === 'noAnswers') this.#cutAll();
  }

  #reopen: (() => Promise<unknown>) | null = null;

  async close(): Promise<void> {
    this.#cutAll();
    if (this.#server.listening) {
      this.#server.close();
      await once(this.#server, 'close');
    }
  }

  #cutAll(): void {
    for (const [client, server] of this.#pairs) {
      client.destroy();
      server.destroy();
    }
    this.#pairs.clear();
  }

  #join(client: Socket): void {
    this.connections += 1;
    const server = connect({ port: this.#targetPort, host: '127.0.0.1', noDelay: true });
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    client.on('data', (bytes) => this.#pass(bytes, server, this.#fault === 'halfOpen'));
    server.on('data', (bytes) => this.#pass(bytes, client, this.#fault === 'halfOpen' || this.#fault === 'noAnswers'));
    for (const socket of pair) {
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#pairs.delete(pair);
        // A half-open link tells nobody of an end.
        if (this.#fault === 'halfOpen') return;
        for (const one of pair) one.destroy();
      });
    }
  }

  #pass(bytes: Buffer, to: Socket, held: boolean): void {
    if (held) return;
    if (this.#fault === 'slow') setTimeout(() => to.destroyed || to.write(bytes), SLOW_MS);
    else if (!to.destroyed) to.write(bytes);
  }
}
