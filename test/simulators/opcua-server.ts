// An LV gateway that speaks OPC UA: node-opcua's own server on loopback with all three policies, whose values a test
// sets, and which it restarts, gives another certificate, or makes drop its sessions.

import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DataType,
  DataValue,
  MessageSecurityMode,
  MonitoringMode,
  type NodeId,
  nodesets,
  OPCUACertificateManager,
  OPCUAServer,
  SecurityPolicy,
  type StatusCode,
  StatusCodes,
  setErrorLogger,
  setWarningLogger,
  type UAVariable,
} from 'node-opcua';
import {
  CertificatePurpose,
  createSelfSignedCertificate,
  generatePrivateKey,
  privateKeyToPEM,
} from 'node-opcua-crypto';
import { fingerprintOf } from '../../src/acquisition/opcua-trust.ts';

setWarningLogger(() => {});
setErrorLogger(() => {});

export interface ServerOptions {
  /** Certificates are made here once, and used again by every server of the same folder and certificate name. */
  readonly folder: string;
  readonly certificate?: string;
  readonly port?: number;
  /** The nodes are `ns=1;s=<name>`. */
  readonly values: Record<string, number>;
  readonly maxSessions?: number;
  readonly users?: Record<string, string>;
  /** Days until the server's certificate expires; below 0 it has. */
  readonly validDays?: number;
}

interface MonitoredItem {
  readonly samplingInterval: number;
  readonly queueSize: number;
  readonly filter: unknown;
  setMonitoringMode(mode: MonitoringMode): void;
}

/** What the library keeps to itself: a server that misbehaves is none that it offers. */
interface InnerSession {
  readonly authenticationToken: NodeId;
  readonly publishEngine: {
    readonly _subscriptions: Record<string, { monitoredItems: Map<number, MonitoredItem> }>;
  };
}

export class OpcuaServer {
  readonly #server: OPCUAServer;
  readonly #variables: Map<string, UAVariable>;

  private constructor(server: OPCUAServer, variables: Map<string, UAVariable>) {
    this.#server = server;
    this.#variables = variables;
  }

  static async start(options: ServerOptions): Promise<OpcuaServer> {
    const { folder, certificate = 'server', port = 0, values, maxSessions = 10, users, validDays } = options;
    const serverCertificateManager = await certificateManager(join(folder, certificate));
    const userCertificateManager = await certificateManager(join(folder, 'users'));
    const server = new OPCUAServer({
      host: '127.0.0.1',
      hostname: '127.0.0.1',
      port,
      nodeset_filename: [nodesets.standard],
      serverCertificateManager,
      userCertificateManager,
      ...(validDays !== undefined && (await ownCertificate(folder, certificate, validDays))),
      securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
      securityPolicies: [
        SecurityPolicy.None,
        SecurityPolicy.Basic256Sha256,
        SecurityPolicy.Aes128_Sha256_RsaOaep,
        SecurityPolicy.Aes256_Sha256_RsaPss,
      ],
      serverCapabilities: { maxSessions },
      allowAnonymous: users === undefined,
      ...(users && { userManager: { isValidUser: (name: string, password: string) => users[name] === password } }),
    });
    await server.initialize();
    const variables = addVariables(server, Object.keys(values));
    await server.start();
    const running = new OpcuaServer(server, variables);
    running.#bindSlow();
    for (const [name, value] of Object.entries(values)) running.set(name, value);
    return running;
  }

  /** Reads of the node `slow` that were under way at the same time, at most. */
  slowReadsAtOnceMax = 0;

  /** The node `ns=1;s=slow`, whose device takes its time for every read. */
  #bindSlow(): void {
    let underWay = 0;
    this.#variables.get('slow')?.bindVariable(
      {
        refreshFunc: (callback) => {
          underWay += 1;
          this.slowReadsAtOnceMax = Math.max(this.slowReadsAtOnceMax, underWay);
          setTimeout(() => {
            underWay -= 1;
            callback(
              null,
              new DataValue({ value: { dataType: DataType.Double, value: 55 }, sourceTimestamp: new Date() }),
            );
          }, 100);
        },
      },
      true,
    );
  }

  get port(): number {
    return this.#server.endpoints[0]?.port ?? 0;
  }

  get endpoint(): string {
    return `opc.tcp://127.0.0.1:${this.port}`;
  }

  get certificateFile(): string {
    return this.#server.certificateFile;
  }

  get fingerprint(): string {
    return fingerprintOf(new X509Certificate(readFileSync(this.certificateFile)).raw);
  }

  get sessions(): number {
    return this.#server.engine.currentSessionCount;
  }

  get sessionsMade(): number {
    return this.#server.engine.cumulatedSessionCount;
  }

  /** Gives a value, with its status and the source time stamp that the server shows with it. */
  set(name: string, value: number, status: StatusCode = StatusCodes.Good, at: Date = new Date()): void {
    this.#variables.get(name)?.setValueFromSource({ dataType: DataType.Double, value }, status, at);
  }

  /** Takes the node away, as a gateway does whose configuration was changed under way. */
  remove(name: string): void {
    const variable = this.#variables.get(name);
    if (variable !== undefined) this.#server.engine.addressSpace?.deleteNode(variable);
    this.#variables.delete(name);
  }

  /** Closes every session from the server's side, as when it is told to. */
  dropSessions(): void {
    const { engine } = this.#server;
    for (const { authenticationToken } of this.#sessions())
      engine.closeSession(authenticationToken, true, 'Terminated');
  }

  /** The items of every subscription go quiet; the subscription itself lives on and sends its keep-alives. */
  deafen(): void {
    for (const item of this.items) item.setMonitoringMode(MonitoringMode.Disabled);
  }

  /** Of every subscription. */
  get items(): MonitoredItem[] {
    return this.#sessions().flatMap(({ publishEngine }) =>
      Object.values(publishEngine._subscriptions).flatMap(({ monitoredItems }) => [...monitoredItems.values()]),
    );
  }

  #sessions(): InnerSession[] {
    return Object.values((this.#server.engine as unknown as { _sessions: Record<string, InnerSession> })._sessions);
  }

  async stop(): Promise<void> {
    await this.#server.shutdown(0);
  }
}

async function certificateManager(rootFolder: string): Promise<OPCUACertificateManager> {
  mkdirSync(rootFolder, { recursive: true });
  const manager = new OPCUACertificateManager({
    rootFolder,
    automaticallyAcceptUnknownCertificate: true,
    disableFileWatchers: true,
  });
  await manager.initialize();
  return manager;
}

/** A certificate whose end is near or past. */
async function ownCertificate(folder: string, name: string, validDays: number) {
  const certificateFile = join(folder, `${name}.pem`);
  const privateKeyFile = join(folder, `${name}.key`);
  const privateKey = await generatePrivateKey(2048);
  const { cert } = await createSelfSignedCertificate({
    privateKey,
    subject: 'CN=gateway',
    dns: ['127.0.0.1'],
    applicationUri: 'urn:gateway',
    notBefore: new Date(Date.now() - 100 * 86_400_000),
    validity: 100 + validDays,
    purpose: CertificatePurpose.ForApplication,
  });
  writeFileSync(certificateFile, cert);
  writeFileSync(privateKeyFile, (await privateKeyToPEM(privateKey)).privPem);
  return { certificateFile, privateKeyFile, serverInfo: { applicationUri: 'urn:gateway' } };
}

function addVariables(server: OPCUAServer, names: readonly string[]): Map<string, UAVariable> {
  const namespace = server.engine.addressSpace?.getOwnNamespace();
  const folder = server.engine.addressSpace?.rootFolder.objects;
  if (namespace === undefined || folder === undefined) throw new Error('the server has no address space');
  return new Map(
    names.map((name) => [
      name,
      namespace.addVariable({
        organizedBy: folder,
        nodeId: `s=${name}`,
        browseName: name,
        dataType: DataType.Double,
        minimumSamplingInterval: 10,
      }),
    ]),
  );
}
