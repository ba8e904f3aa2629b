// One connection to an OPC UA server, from discovery to its end: finds the endpoint, holds its certificate against the
// trust list, makes the session and, where asked, the subscription. It never mends itself: whatever breaks is told
// once, and the source then makes a new one from nothing, because a reconnect that keeps a dead subscription looks
// alive (node-opcua issues 1059, 1334). The only file that knows the library, which is loaded when the first OPC UA
// source connects and never without one.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type {
  ClientSession,
  EndpointDescription,
  OPCUAClient,
  OPCUAClientOptions,
  UserIdentityInfo,
} from 'node-opcua-client';
import type { Clock } from '../clock.ts';
import type { OpcuaSettings } from '../source-settings.ts';
import {
  APPLICATION_NAME,
  applicationUri,
  ensureOwnCertificate,
  expiryNotice,
  fingerprintOf,
  type TrustFolder,
  trustedFingerprint,
} from './opcua-trust.ts';
import { type NodeValue, nodeValue } from './opcua-value.ts';

/** What a session says. Nothing comes after `lost`. */
export interface SessionEvents {
  /** The changed values of one notification, by the place of the node in the list. */
  changed(values: ReadonlyMap<number, NodeValue>): void;
  /** A keep-alive: the server vouches that nothing has changed. */
  unchanged(): void;
  /** The end, whoever made it; `detail` is for people. */
  lost(detail: string): void;
}

export interface SessionInput {
  readonly settings: OpcuaSettings;
  readonly folder: TrustFolder;
  readonly nodeIds: readonly string[];
  readonly clock: Clock;
}

export interface Session {
  /** What was agreed with the server, for people. */
  readonly agreed: string;
  /** How often the server publishes; null where nothing is subscribed. */
  readonly publishingMs: number | null;
  /** What there is to say about the end of a certificate; null while it is far off. */
  expiry(): string | null;
  /** Reads every node, from the device and not from a cache. */
  read(): Promise<NodeValue[]>;
  /** Ends the session and deletes its subscription, as far as the server still listens; never waits for it. */
  close(): void;
}

/** RSA on a small RTU and a slow gateway takes its time, once per connection. */
const SETUP_MS = 15_000;
/** Short, so that a session that could not be closed does not long hold one of the server's few places. */
const SESSION_MS = 30_000;
/** The least that node-opcua permits; check reads fill the time between. */
const KEEP_ALIVE_COUNT = 3;
/** The server drops a subscription that nobody has asked for this many publishing intervals. */
const LIFETIME_COUNT = 100;

type Library = typeof import('node-opcua-client');

/** Loads the library and keeps its console output out of our log: what matters in it comes as an error too. */
async function loadLibrary(): Promise<Library> {
  const opcua = await import('node-opcua-client');
  opcua.setWarningLogger(() => {});
  opcua.setErrorLogger(() => {});
  return opcua;
}

/** Asks a server what it offers, unsecured as discovery is. Throws an Error in one line. */
export async function discover(endpoint: string, folder: TrustFolder, clock: Clock): Promise<EndpointDescription[]> {
  const opcua = await loadLibrary();
  await ensureOwnCertificate(folder, clock.wallMs());
  const client = opcua.OPCUAClient.create(clientOptions(opcua, folder));
  try {
    return await within(SETUP_MS, clock, async () => {
      await client.connect(endpoint);
      return await client.getEndpoints();
    });
  } finally {
    client.disconnect().catch(() => {});
  }
}

/** The server's certificate as it stands in the endpoint, without the chain behind it; null where there is none. */
export function certificateOf({ serverCertificate }: EndpointDescription): Buffer | null {
  if (!serverCertificate || serverCertificate.length === 0) return null;
  return Buffer.from(new X509Certificate(serverCertificate).raw);
}

/** Which of the endpoints the settings ask for. Throws an Error in one line that says what is offered. */
export function chooseEndpoint(
  endpoints: readonly EndpointDescription[],
  { securityMode, securityPolicy }: OpcuaSettings,
): EndpointDescription {
  const offered = endpoints.map((one) => `${MODES[one.securityMode] ?? '?'} ${policyName(one)}`);
  const index = offered.indexOf(`${securityMode} ${securityPolicy}`);
  const chosen = endpoints[index];
  if (chosen !== undefined) return chosen;
  const list = [...new Set(offered)].join(', ') || 'nothing';
  throw new Error(`the server offers no ${securityMode} ${securityPolicy}, only ${list}`);
}

/** Part 4, 7.20: MessageSecurityMode. */
const MODES: Record<number, string> = { 1: 'None', 2: 'Sign', 3: 'SignAndEncrypt' };

function policyName({ securityPolicyUri }: EndpointDescription): string {
  return securityPolicyUri?.split('#').at(-1) ?? '?';
}

/** Connects. Throws an Error in one line; what was half made is ended then. */
export async function openSession(input: SessionInput, events: SessionEvents): Promise<Session> {
  const { settings, folder, clock } = input;
  const endpoint = chooseEndpoint(await discover(settings.endpoint, folder, clock), settings);
  const certificate = certificateOf(endpoint);
  if (settings.securityMode !== 'None') holdAgainstTrust(certificate, folder, settings.id);
  const opcua = await loadLibrary();
  const client = opcua.OPCUAClient.create({
    ...clientOptions(opcua, folder),
    securityMode: opcua.MessageSecurityMode[settings.securityMode],
    securityPolicy: opcua.SecurityPolicy[settings.securityPolicy],
    ...(settings.securityMode !== 'None' && { serverCertificate: endpoint.serverCertificate }),
  });
  const end = ending(client, events);
  try {
    return await within(SETUP_MS, clock, async () => {
      await client.connect(settings.endpoint);
      const session = await client.createSession(identity(opcua, settings));
      session.on('session_closed', (status) => end(`the server closed the session: ${status.name}`));
      // The library would mend a session that the server has dropped, and its subscription, without a word.
      session.on('session_restored', () => end('the server dropped the session'));
      const agreed = `${settings.securityMode} ${settings.securityPolicy}`;
      const publishingMs = settings.mode === 'subscribe' ? await subscribe(opcua, session, input, events, end) : null;
      return {
        agreed: `${agreed}, ${manner(settings, publishingMs)}`,
        publishingMs,
        expiry: expiryOf(certificate, folder, clock),
        read: () => readAll(opcua, session, input.nodeIds),
        close: () => close(client, session, end),
      };
    });
  } catch (error) {
    end(null);
    client.disconnect().catch(() => {});
    throw error;
  }
}

/** Tells of the end once; null ends it without a word. */
type End = (detail: string | null) => void;

function ending(client: OPCUAClient, events: SessionEvents): End {
  let over = false;
  const end: End = (detail) => {
    if (over) return;
    over = true;
    if (detail !== null) events.lost(detail);
  };
  client.on('close', () => end('the connection was closed'));
  client.on('connection_lost', () => end('the connection was lost'));
  return end;
}

function close(client: OPCUAClient, session: ClientSession, end: End): void {
  end(null);
  // Deleting the subscriptions with it: else they, and the session, would count against the server's limits.
  session
    .close(true)
    .catch(() => {})
    .finally(() => client.disconnect().catch(() => {}));
}

function clientOptions(opcua: Library, folder: TrustFolder): OPCUAClientOptions {
  return {
    applicationName: APPLICATION_NAME,
    applicationUri: applicationUri(),
    clientName: APPLICATION_NAME,
    certificateFile: folder.ownCertificateFile,
    privateKeyFile: folder.ownKeyFile,
    clientCertificateManager: pinnedStore(opcua),
    connectionStrategy: { maxRetry: 0, initialDelay: 100, maxDelay: 1000, randomisationFactor: 0 },
    endpointMustExist: false,
    keepSessionAlive: false,
    requestedSessionTimeout: SESSION_MS,
    transportTimeout: SETUP_MS,
  };
}

/** The library asks a store; the trust is decided before, by fingerprint, and holds for this one connection. */
function pinnedStore(opcua: Library): NonNullable<OPCUAClientOptions['clientCertificateManager']> {
  const nothing = async () => {};
  return {
    referenceCounter: 0,
    initialize: nothing,
    dispose: nothing,
    checkCertificate: async () => opcua.StatusCodes.BadCertificateUntrusted,
    verifyCertificate: async () => 'BadCertificateUntrusted',
    trustCertificate: nothing,
    rejectCertificate: nothing,
    getTrustStatus: async () => opcua.StatusCodes.BadCertificateUntrusted,
    addIssuer: nothing,
    addRevocationList: nothing,
  };
}

/** Throws unless this very certificate was accepted for this source. */
function holdAgainstTrust(certificate: Buffer | null, folder: TrustFolder, sourceId: string): void {
  if (certificate === null) throw new Error('the server shows no certificate');
  const shown = fingerprintOf(certificate);
  const trusted = trustedFingerprint(folder, sourceId);
  if (trusted === shown) return;
  const what = trusted === null ? 'is not trusted yet' : `is not the trusted one (${trusted}): it was changed`;
  throw new Error(`the server's certificate ${shown} ${what}; headroom trust shows and accepts it`);
}

function identity(opcua: Library, { user }: OpcuaSettings): UserIdentityInfo {
  if (user?.name !== undefined && user.passwordFile !== undefined) {
    const password = readFileSync(user.passwordFile, 'utf8').replace(/\r?\n$/, '');
    return { type: opcua.UserTokenType.UserName, userName: user.name, password };
  }
  if (user?.certFile !== undefined && user.keyFile !== undefined) {
    const certificateData = Buffer.from(new X509Certificate(readFileSync(user.certFile)).raw);
    return {
      type: opcua.UserTokenType.Certificate,
      certificateData,
      privateKey: readFileSync(user.keyFile, 'utf8'),
    };
  }
  return { type: opcua.UserTokenType.Anonymous };
}

/** Subscribes to every node. Gives the publishing interval that the server agreed to. */
async function subscribe(
  opcua: Library,
  session: ClientSession,
  { settings, nodeIds }: SessionInput,
  events: SessionEvents,
  end: End,
): Promise<number> {
  const { samplingMs } = settings;
  const subscription = await session.createSubscription2({
    requestedPublishingInterval: samplingMs,
    requestedMaxKeepAliveCount: KEEP_ALIVE_COUNT,
    requestedLifetimeCount: LIFETIME_COUNT,
    maxNotificationsPerPublish: 0,
    publishingEnabled: true,
    priority: 1,
  });
  subscription.on('keepalive', () => events.unchanged());
  subscription.on('terminated', () => end('the server ended the subscription'));
  subscription.on('status_changed', (status) => end(`the server ended the subscription: ${status.name}`));
  // A queue of one and no filter, so no deadband: the newest value, whenever it or its status changes.
  const group = await subscription.monitorItems(
    nodeIds.map((nodeId) => ({ nodeId, attributeId: opcua.AttributeIds.Value })),
    { samplingInterval: samplingMs, queueSize: 1, discardOldest: true },
    opcua.TimestampsToReturn.Both,
  );
  let changed = new Map<number, NodeValue>();
  group.on('changed', (_item, data, index) => {
    // The library calls once for each value of a notification, in one go: its values belong together.
    if (changed.size === 0)
      queueMicrotask(() => {
        const values = changed;
        changed = new Map();
        events.changed(values);
      });
    changed.set(index, nodeValue(data));
  });
  return subscription.publishingInterval;
}

function manner({ samplingMs }: OpcuaSettings, publishingMs: number | null): string {
  if (publishingMs === null) return `read every ${samplingMs} ms`;
  return `published every ${publishingMs} ms${publishingMs === samplingMs ? '' : `, ${samplingMs} were asked`}`;
}

async function readAll(opcua: Library, session: ClientSession, nodeIds: readonly string[]): Promise<NodeValue[]> {
  const nodes = nodeIds.map((nodeId) => ({ nodeId, attributeId: opcua.AttributeIds.Value }));
  // An age of 0: from the device, not from what the server remembers.
  const values = await session.read(nodes, 0);
  return values.map(nodeValue);
}

function expiryOf(certificate: Buffer | null, folder: TrustFolder, clock: Clock): () => string | null {
  const own = new X509Certificate(readFileSync(folder.ownCertificateFile)).raw;
  return () => {
    const notices = [
      certificate && expiryNotice(certificate, "the server's certificate", clock.wallMs()),
      expiryNotice(own, 'our own certificate', clock.wallMs()),
    ];
    return notices.filter((notice) => notice !== null).join('; ') || null;
  };
}

/** The outcome of `work`, or an Error in one line, after `limitMs` at the latest on the monotonic clock. */
async function within<T>(limitMs: number, clock: Clock, work: () => Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = clock.at(clock.monotonicMs() + limitMs, () => reject(new Error(`no answer within ${limitMs} ms`)));
  try {
    return await Promise.race([work(), late]);
  } catch (error) {
    throw new Error(oneLine(error));
  } finally {
    timer.cancel();
  }
}

/** The library's errors are several lines long and name its own inside. */
function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').trim().slice(0, 300);
}
