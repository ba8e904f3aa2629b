// The link to a real Mosquitto with TLS, certificates from both ends and the ACL of hardware/mosquitto: what is not
// right is refused with a clear alarm, new files are used without a restart, and no secret is ever said.
import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls, { createServer, getCACertificates, setDefaultCACertificates } from 'node:tls';
import mqtt, { type IClientOptions } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { topicsOf } from '../../src/messages.ts';
import { Link } from '../../src/uplink/link.ts';
import { uplink as uplinkSchema } from '../../src/uplink-settings.ts';
import { Authority, type Pair } from '../simulators/certificates.ts';
import { type HandClock, handClock, whileTimeGoes } from '../simulators/hand-clock.ts';
import { type HardwareBroker, startHardwareBroker } from '../simulators/hardware-broker.ts';
import { Mosquitto, mosquittoOrSkip } from '../simulators/mosquitto.ts';
import { closeAfter, settled, until } from './site.ts';

const canRun = mosquittoOrSkip('openssl');
const ACL = join(import.meta.dirname, '../../hardware/mosquitto/acl');
const topics = topicsOf('SUB-1');

let authority: Authority;
let other: Authority;
let broker: Mosquitto;
let aclFile: string;
const brokers: Mosquitto[] = [];
const folder = mkdtempSync(join(tmpdir(), 'headroom-tls-'));

async function startBroker(pair: Pair): Promise<Mosquitto> {
  const started = await Mosquitto.start({ tls: { ca: authority.ca, ...pair }, aclFile });
  brokers.push(started);
  return started;
}

beforeAll(async () => {
  if (!canRun) return;
  aclFile = join(folder, 'acl');
  copyFileSync(ACL, aclFile);
  authority = new Authority('DNO');
  other = new Authority('elsewhere');
  broker = await startBroker(authority.issue('broker', { names: 'IP:127.0.0.1' }));
}, 30_000);
afterAll(async () => {
  for (const one of brokers) await one.remove();
  for (const one of [folder, authority?.folder, other?.folder]) if (one) rmSync(one, { recursive: true, force: true });
});

interface Made {
  readonly link: Link;
  readonly clock: HandClock;
  /** Every word that leaves the link: alarms and reasons. */
  readonly words: string[];
  readonly heard: string[];
  readonly tls: { caFile: string; certFile: string; keyFile: string };
}

interface Given {
  readonly urls?: string[];
  readonly ca?: string;
  /** Null: none of ours; with `publicly` no authority of ours either. */
  readonly pair?: Pair | null;
  readonly publicly?: boolean;
  readonly insecure?: boolean;
  readonly random?: () => number;
}

function linked(given: Given = {}): Made {
  const clock = handClock(Date.now());
  const words: string[] = [];
  const heard: string[] = [];
  const pair = given.pair === undefined ? authority.issue('SUB-1') : given.pair;
  const files = { caFile: given.ca ?? authority.ca, certFile: pair?.cert ?? '', keyFile: pair?.key ?? '' };
  const settings = uplinkSchema.parse({
    brokers: (given.urls ?? [broker.url]).map((url) => ({ url })),
    ...(given.publicly !== true && { tls: pair === null ? { caFile: files.caFile } : files }),
    allowInsecure: given.insecure ?? false,
  });
  const link = new Link({
    settings,
    clientId: 'headroom-SUB-1',
    will: { topic: topics.status, payload: () => '{}' },
    subscriptions: [topics.everyAck, topics.command],
    clock,
    random: given.random ?? (() => 0.5),
    urgent: () => false,
    events: {
      up: () => void words.push('up'),
      down: (reason) => void words.push(`down: ${reason}`),
      alarm: (alarm, reason) => void words.push(reason === null ? `end of ${alarm}` : `${alarm}: ${reason}`),
      message(_topic, payload, _retained, done) {
        heard.push(Buffer.from(payload).toString());
        done();
      },
    },
  });
  closeAfter({ close: () => ended(link, clock) });
  return { link, clock, words, heard, tls: files };
}

const ended = (link: Link, clock: HandClock) => whileTimeGoes(clock, link.close(null), { waitMs: 4, stepMs: 50 });

/** Moves the clock in steps while sockets work, until `check` holds. */
async function live(clock: HandClock, check: () => boolean, stepMs = 250): Promise<void> {
  for (let step = 0; step < 500 && !check(); step++) {
    clock.advance(stepMs);
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  await until(check, 8_000);
}

const published = (link: Link, topic: string) =>
  new Promise<string | null>((resolve) => link.publish({ topic, payload: '{}', retain: false }, resolve));

describe.skipIf(!canRun)('a broker with certificates', { timeout: 20_000 }, () => {
  test('is connected to, and takes what the contract says', async () => {
    const { link, words } = linked();
    await until(() => link.isUp, 8_000);
    expect(words).toEqual(['up']);
    const own = [topics.curtailment('F1'), topics.event('F1'), topics.event(null), topics.telemetry('F1')];
    for (const topic of [...own, topics.status, topics.commandAck]) expect(await published(link, topic)).toBeNull();
    expect(link.certificateEnds.map(({ of }) => of)).toContain(broker.url);
  });

  test.each([
    ["another substation's request", topicsOf('SUB-2').curtailment('F1')],
    ["another substation's status", topicsOf('SUB-2').status],
    ['its own acknowledgement', topics.ack('F1')],
    ['a command', topics.command],
  ])('does not take %s', async (_name, topic) => {
    const { link, words } = linked();
    await until(() => link.isUp, 8_000);
    expect(await published(link, topic)).toMatch(/not authorised/);
    expect(words.at(-1)).toBe(`notAuthorised: ${broker.url} refuses ${topic}: not authorised (reason code 135)`);
  });

  test("does not give one substation another's acknowledgements and commands", async () => {
    const pair = authority.issue('SUB-2');
    const client = await mqtt.connectAsync(broker.url, {
      protocolVersion: 5,
      ca: readFileSync(authority.ca),
      cert: readFileSync(pair.cert),
      key: readFileSync(pair.key),
    });
    const granted = await client.subscribeAsync(topicsOf('SUB-2').command, { qos: 1 });
    expect(granted[0]?.qos).toBe(1);
    const heard: string[] = [];
    client.on('message', (topic) => void heard.push(topic));
    await client.subscribeAsync('headroom/v1/+/command', { qos: 1 }).catch(() => {});
    const headEnd = await mqtt
      .connectAsync(broker.url, {
        protocolVersion: 5,
        ca: readFileSync(authority.ca),
        cert: readFileSync(authority.issue('headend').cert),
        key: readFileSync(pair.key),
      })
      .catch((error: Error) => error.message);
    expect(headEnd).toMatch(/key values mismatch/);
    const headPair = authority.issue('headend');
    const good = await mqtt.connectAsync(broker.url, {
      protocolVersion: 5,
      ca: readFileSync(authority.ca),
      cert: readFileSync(headPair.cert),
      key: readFileSync(headPair.key),
    });
    await good.publishAsync(topics.command, '{}', { qos: 1 });
    await good.publishAsync(topicsOf('SUB-2').command, '{}', { qos: 1 });
    await until(() => heard.length > 0);
    await settled();
    expect(new Set(heard)).toEqual(new Set([topicsOf('SUB-2').command]));
    await client.endAsync(true);
    await good.endAsync(true);
  });

  test.each<[string, () => Promise<Parameters<typeof linked>[0]> | Parameters<typeof linked>[0], RegExp]>([
    ['an authority that is not ours', () => ({ ca: other.ca }), /^notTrusted: .*(unable to|self.signed|verify)/],
    [
      'another name',
      async () => ({ urls: [(await startBroker(authority.issue('x', { names: 'DNS:elsewhere' }))).url] }),
      /^notTrusted: .*does not match certificate's altnames/,
    ],
    [
      'a certificate that is over',
      async () => ({ urls: [(await startBroker(authority.issue('x', { names: 'IP:127.0.0.1', days: -1 }))).url] }),
      /^notTrusted: .*expired/,
    ],
    ['no certificate of ours', () => ({ pair: null }), /^notTrusted: .*certificate required/],
    ["another authority's certificate of ours", () => ({ pair: other.issue('SUB-1') }), /^notTrusted: .*alert/],
    [
      'our certificate over',
      () => ({ pair: authority.issue('SUB-1', { days: -1 }) }),
      /^notTrusted: .*alert certificate expired/,
    ],
  ])('with %s is none', async (_name, given, expected) => {
    const { link, words } = linked(await given());
    await until(() => words.some((word) => word.startsWith('notTrusted')), 8_000);
    expect(words.find((word) => word.startsWith('notTrusted'))).toMatch(expected);
    expect(link.isUp).toBe(false);
  });

  test('that speaks nothing newer than TLS 1.1 is none, though all else on this machine would allow it', async () => {
    const pair = authority.issue('old', { names: 'IP:127.0.0.1' });
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const server = createServer({ ...old, cert: readFileSync(pair.cert), key: readFileSync(pair.key) });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closeAfter({ close: async () => void server.close() });
    const { port } = server.address() as { port: number };
    const { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS } = tls;
    // As with --tls-min-v1.0 and the lowest level of security on the command line of Node.
    Object.assign(tls, { DEFAULT_MIN_VERSION: 'TLSv1', DEFAULT_CIPHERS: 'DEFAULT@SECLEVEL=0' });
    try {
      const spoken = await new Promise<string | null>((resolve, reject) => {
        const socket = tls.connect({ host: '127.0.0.1', port, ca: readFileSync(authority.ca) }, () => {
          resolve(socket.getProtocol());
          socket.destroy();
        });
        socket.on('error', reject);
      });
      expect(spoken).toBe('TLSv1.1');
      const { link, words } = linked({ urls: [`mqtts://127.0.0.1:${port}`] });
      await until(() => words.some((word) => word.startsWith('notTrusted')), 8_000);
      expect(words[0]).toBe(`notTrusted: mqtts://127.0.0.1:${port}: tlsv1 alert protocol version`);
      expect(link.isUp).toBe(false);
    } finally {
      Object.assign(tls, { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS });
    }
  });

  test('that takes a permission back says so; when it is given again the alarm ends', async () => {
    const { link, words } = linked();
    await until(() => link.isUp, 8_000);
    const topic = topics.event('F1');
    expect(await published(link, topic)).toBeNull();
    const whole = readFileSync(aclFile, 'utf8');
    writeFileSync(aclFile, whole.replace('pattern write headroom/v1/%u/feeder/+/event\n', ''));
    broker.reload();
    for (let n = 0; n < 100 && (await published(link, topic)) === null; n++) await settled();
    expect(words.at(-1)).toMatch(/^notAuthorised: .*\/event: not authorised/);
    expect(link.isUp).toBe(true);
    writeFileSync(aclFile, whole);
    broker.reload();
    for (let n = 0; n < 100 && (await published(link, topic)) !== null; n++) await settled();
    expect(words.at(-1)).toBe('end of notAuthorised');
  });
});

describe.skipIf(!canRun)('the broker of hardware/mosquitto', { timeout: 20_000 }, () => {
  let hardware: HardwareBroker;
  beforeAll(async () => {
    hardware = await startHardwareBroker();
  }, 30_000);
  afterAll(() => hardware?.close());

  const as = (ca: Authority, name: string, url: string, more: IClientOptions = {}) => {
    const pair = ca.issue(name);
    return mqtt.connectAsync(url, {
      protocolVersion: 5,
      ca: readFileSync(hardware.substations.ca),
      cert: readFileSync(pair.cert),
      key: readFileSync(pair.key),
      reconnectPeriod: 0,
      ...more,
    });
  };

  test('keeps a session for the certificate: no other one can throw its substation off, or end what waits', async () => {
    const { substations, headEnd } = hardware;
    const own = { urls: [hardware.url], ca: substations.ca, pair: substations.issue('SUB-1') };
    const { link, clock, words } = linked(own);
    await until(() => link.isUp, 8_000);
    for (const clientId of ['headroom-SUB-1', 'SUB-1']) {
      const thief = await as(substations, 'SUB-2', hardware.url, { clientId, clean: true });
      await thief.endAsync();
    }
    await settled();
    expect(words).toEqual(['up']);
    // While it is away another certificate asks for its session, to end it; what was said to it waits all the same.
    await ended(link, clock);
    const thief = await as(substations, 'SUB-2', hardware.url, { clientId: 'SUB-1', clean: true });
    await thief.endAsync();
    const head = await as(headEnd, 'headend', hardware.headEndUrl, { clientId: 'headend-0' });
    await head.publishAsync(topics.command, '{"waits":true}', { qos: 1 });
    await head.endAsync();
    const back = linked(own);
    await until(() => back.heard.length > 0, 8_000);
    expect(back.heard).toEqual(['{"waits":true}']);
  });

  test("lets no substation in at the head end's port, where the workers have a session each", async () => {
    const { substations, headEnd, headEndUrl } = hardware;
    const refused = await as(substations, 'SUB-2', headEndUrl, { clientId: 'headend-0' }).then(
      () => 'connected',
      (error: Error) => error.message,
    );
    expect(refused).not.toBe('connected');
    const workers = await Promise.all(
      ['headend-0', 'headend-1'].map((clientId) => as(headEnd, 'headend', headEndUrl, { clientId })),
    );
    await settled();
    expect(workers.map(({ connected }) => connected)).toEqual([true, true]);
    for (const worker of workers) await worker.endAsync(true);
  });
});

describe.skipIf(!canRun)('the files', { timeout: 20_000 }, () => {
  test('are used anew when they have changed, with one session at a time', async () => {
    const { link, clock, words, tls } = linked();
    await until(() => link.isUp, 8_000);
    clock.advance(60_000);
    await settled();
    expect(words).toEqual(['up']);
    const renewed = authority.issue('SUB-1');
    copyFileSync(renewed.cert, tls.certFile);
    copyFileSync(renewed.key, tls.keyFile);
    clock.advance(60_000);
    expect(words).toEqual(['up', 'down: the files of tls or user have changed']);
    await until(() => {
      clock.advance(10);
      return link.isUp;
    }, 8_000);
    expect(words.filter((word) => word === 'up')).toHaveLength(2);
  });

  test('that do not fit together are not used: the link stays, and the alarm names the file', async () => {
    const { link, clock, words, tls } = linked();
    await until(() => link.isUp, 8_000);
    const renewed = authority.issue('SUB-1');
    copyFileSync(renewed.cert, tls.certFile);
    clock.advance(60_000);
    expect(words.at(-1)).toBe(`credentials: ${tls.keyFile} is not the key of ${tls.certFile}`);
    writeFileSync(tls.certFile, '-----BEGIN CERT');
    clock.advance(60_000);
    expect(link.isUp).toBe(true);
    copyFileSync(renewed.cert, tls.certFile);
    copyFileSync(renewed.key, tls.keyFile);
    clock.advance(60_000);
    expect(words).toContain('end of credentials');
  });

  test('that are gone are an alarm, and looked for again', async () => {
    const pair = authority.issue('SUB-1');
    const away = { cert: pair.cert, key: `${pair.key}.away` };
    const { link, clock, words } = linked({ pair: away, random: () => 0.5 });
    expect(words).toEqual([
      `credentials: ${away.key} cannot be read: ENOENT`,
      `down: ${away.key} cannot be read: ENOENT`,
    ]);
    copyFileSync(pair.key, away.key);
    clock.advance(1_000);
    await until(() => link.isUp, 8_000);
    expect(words).toContain('end of credentials');
  });

  test('that will soon be over are warned of, until they are renewed', async () => {
    const { link, clock, words, tls } = linked({ pair: authority.issue('SUB-1', { days: 10 }) });
    await until(() => link.isUp, 8_000);
    expect(words[0]).toMatch(new RegExp(`^certificateExpiry: the certificate of ${tls.certFile} ends at 20`));
    const renewed = authority.issue('SUB-1');
    copyFileSync(renewed.cert, tls.certFile);
    copyFileSync(renewed.key, tls.keyFile);
    clock.advance(60_000);
    expect(words).toContain('end of certificateExpiry');
  });

  test('are never said: no word holds anything of a key', async () => {
    const pair = authority.issue('SUB-1');
    appendFileSync(pair.key, 'a-secret-behind-the-key\n');
    const { clock, words } = linked({ pair, ca: other.ca });
    await until(() => words.some((word) => word.startsWith('notTrusted')), 8_000);
    writeFileSync(pair.key, 'hunter2');
    clock.advance(60_000);
    expect(words.at(-1)).toBe(`credentials: ${pair.key} holds no private key that can be read`);
    expect(words.join('\n')).not.toMatch(/hunter2|BEGIN|a-secret/);
  });

  test('half renewed while a lesser broker serves: the alarm says so, and the preferred one is looked for again', async () => {
    const names = { names: 'IP:127.0.0.1' };
    const first = await startBroker(authority.issue('first', names));
    const second = await startBroker(authority.issue('second', names));
    await first.stop();
    const { link, clock, words, tls } = linked({ urls: [first.url, second.url] });
    await live(clock, () => link.isUp);
    expect(link.broker).toBe(second.url);
    await first.start();
    const whole = readFileSync(tls.certFile);
    copyFileSync(authority.issue('SUB-1').cert, tls.certFile);
    clock.advance(20 * 60_000);
    await settled();
    expect(words.at(-1)).toBe(`credentials: ${tls.keyFile} is not the key of ${tls.certFile}`);
    expect(link.broker).toBe(second.url);
    // As it was: nothing about the files would bring the link back to the first broker but another look for it.
    writeFileSync(tls.certFile, whole);
    clock.advance(20 * 60_000);
    await until(() => words.includes(`down: back to ${first.url}`), 8_000);
    await live(clock, () => link.isUp && link.broker === first.url, 10);
  });

  test.each<[string, (tls: Made['tls']) => void]>([
    [
      // The same key pair once more, in another form of PEM.
      'the key',
      ({ keyFile }) => {
        const key = createPrivateKey(readFileSync(keyFile));
        writeFileSync(keyFile, key.export({ type: 'sec1', format: 'pem' }));
      },
    ],
    ['the authority', ({ caFile }) => appendFileSync(caFile, readFileSync(other.ca))],
  ])('of which %s alone has changed are used at once', async (_name, change) => {
    const ca = join(folder, 'own-ca.pem');
    copyFileSync(authority.ca, ca);
    const { link, clock, words, tls } = linked({ ca });
    await until(() => link.isUp, 8_000);
    change(tls);
    clock.advance(60_000);
    expect(words).toEqual(['up', 'down: the files of tls or user have changed']);
    await live(clock, () => link.isUp, 10);
  });

  test('that OpenSSL finds too weak are an alarm and no crash', async () => {
    const weak = join(folder, 'weak');
    const [cert, keyFile] = [`${weak}.pem`, `${weak}.key`];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:512', '-nodes', '-subj', '/CN=SUB-1', '-keyout', keyFile, '-out', cert],
      { stdio: 'ignore' },
    );
    const { words } = linked({ pair: { cert, key: keyFile } });
    expect(words[0]).toBe(`credentials: ${authority.ca} and ${cert} cannot be used: ERR_SSL_EE_KEY_TOO_SMALL`);
  });

  test('are not used towards a broker of mqtt://, which stays what it is', async () => {
    const plain = await Mosquitto.start();
    brokers.push(plain);
    const { link, words } = linked({ urls: [plain.url], insecure: true });
    await until(() => link.isUp, 8_000);
    expect(words).toEqual(['up']);
  });
});

describe.skipIf(!canRun)('a certificate that will soon be over', { timeout: 20_000 }, () => {
  const brokerOf = (days: number) => startBroker(authority.issue('broker', { names: 'IP:127.0.0.1', days }));

  test("is warned of when it is the broker's, and each that comes due after it is named too", async () => {
    const { url } = await brokerOf(10);
    const { link, clock, words, tls } = linked({ urls: [url], pair: authority.issue('SUB-1', { days: 31 }) });
    await until(() => link.isUp, 8_000);
    const due = words.filter((word) => word.startsWith('certificateExpiry'));
    expect(due).toEqual([expect.stringMatching(new RegExp(`the certificate of ${url} ends at 20\\S+$`))]);
    clock.advance(25 * 3_600_000);
    const both = words.filter((word) => word.startsWith('certificateExpiry'));
    expect(both).toHaveLength(2);
    expect(both[1]).toContain(`the certificate of ${tls.certFile} ends at`);
    expect(both[1]).toContain(`the certificate of ${url} ends at`);
  });

  test('is warned of where a public authority signed the broker and nothing is set but its address', async () => {
    const before = getCACertificates('default');
    const { url } = await Mosquitto.start({
      tls: { ca: authority.ca, ...authority.issue('b', { names: 'IP:127.0.0.1', days: 31 }) },
      anybody: true,
    }).then((one) => {
      brokers.push(one);
      return one;
    });
    setDefaultCACertificates([...before, readFileSync(authority.ca, 'utf8')]);
    try {
      const { link, clock, words } = linked({ urls: [url], publicly: true });
      await until(() => link.isUp, 8_000);
      expect(words).toEqual(['up']);
      clock.advance(25 * 3_600_000);
      expect(words.at(-1)).toMatch(new RegExp(`^certificateExpiry: the certificate of ${url} ends at 20\\S+$`));
    } finally {
      setDefaultCACertificates(before);
    }
  });
});
