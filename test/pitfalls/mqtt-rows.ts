// The known pitfalls of MQTT.js 5.16 (Q), as rows.ts has those of the other libraries.
import type { Row } from './rows.ts';

const LINK_TEST = 'uplink/link.test.ts';
const UPLINK_TEST = 'uplink/uplink.test.ts';
const LINK = 'src/uplink/link.ts';

export const MQTT_ROWS: readonly Row[] = [
  {
    row: 'Q1',
    pitfall: 'one CONNACK that refuses, and it never tries again',
    handling: 'our own supervisor makes a new client for every attempt',
    test: [LINK_TEST, '0x88 server unavailable: the next attempt comes all the same'],
    without: {
      file: LINK,
      from: 'this.#timer = this.#after(waitMs, () => this.#connect());',
      to: 'this.#timer = this.#after(waitMs, () => {});',
    },
  },
  {
    row: 'Q2',
    pitfall: "the broker's Receive Maximum is ignored",
    handling: 'no more in flight than it says',
    test: [UPLINK_TEST, 'never more than what the broker announces'],
    without: {
      file: LINK,
      from: 'Math.max(1, Math.min(IN_FLIGHT_MAX, receiveMaximum ?? IN_FLIGHT_MAX))',
      to: 'Math.max(IN_FLIGHT_MAX, receiveMaximum ?? 0)',
    },
  },
  {
    row: 'Q3',
    pitfall: 'message ids wrap in its offline queue: the oldest are gone without an error',
    handling: 'nothing is handed to it without a link; the newest request of each feeder waits in our own outbox',
    test: [UPLINK_TEST, 'however much is decided while the broker is away, only the newest is left to be sent'],
    without: {
      file: LINK,
      from: 'return this.#up ? this.#inFlightMax - this.#inFlight : 0;',
      to: 'return this.#inFlightMax - this.#inFlight;',
    },
  },
  {
    row: 'Q4',
    pitfall: 'expiry does not age in the queue',
    handling: 'what is left of it is counted at the moment of sending',
    test: [UPLINK_TEST, 'what a request had to wait is gone from its expiry'],
    without: {
      file: 'src/uplink/uplink.ts',
      from: 'Math.max(1, Math.round((forgottenWallMs - wallMs) / 1000))',
      to: 'message.durationS',
    },
  },
  {
    row: 'Q4',
    pitfall: 'the same, where it is too late altogether',
    handling: 'what is past its validUntil is not sent',
    test: [UPLINK_TEST, 'what has expired is never sent'],
    without: {
      file: 'src/uplink/uplink.ts',
      from: 'return this.#input.clock.wallMs() >= Date.parse(message.validUntil);',
      to: 'return message === null;',
    },
  },
  {
    row: 'Q5',
    pitfall: 'a backlog goes first, and what is urgent waits behind it',
    handling: 'our outbox holds the order: few in flight, requests first',
    test: [UPLINK_TEST, 'a new request does not wait behind a backlog that a slow broker takes its time for'],
    without: { file: LINK, from: 'const IN_FLIGHT_MAX = 16;', to: 'const IN_FLIGHT_MAX = 60_000;' },
  },
  {
    row: 'Q6',
    pitfall: 'a publish that never settles when the link drops',
    handling: 'a deadline of our own for every PUBACK',
    test: [UPLINK_TEST, 'renews the link and says the same id again'],
    without: {
      file: LINK,
      from: "() => this.#lost(client, 'no PUBACK in time')",
      to: '() => {}',
    },
  },
  {
    row: 'Q7',
    pitfall: 'the callback of end() does not come',
    handling: 'a stop waits half a second for it and goes',
    test: [LINK_TEST, 'comes within two seconds in a black hole'],
    without: { file: LINK, from: '        client.stream?.destroy();\n        resolve();\n', to: '' },
  },
  {
    row: 'Q8',
    pitfall: 'everybody reconnects in step',
    handling: 'each wait by a draw of its own',
    test: [LINK_TEST, 'two links that lose their broker in the same moment do not come back in step'],
    without: {
      file: LINK,
      from: 'this.#input.random() * (roundOver ? this.#longestWaitMs() : RECONNECT_FIRST_MS)',
      to: '0.5 * (roundOver ? this.#longestWaitMs() : RECONNECT_FIRST_MS)',
    },
  },
  {
    row: 'Q8',
    pitfall: 'thousands come back in the same second after a restart of the broker',
    handling: 'after a link that stood the first wait is drawn from 20 s',
    test: ['uplink/herd.test.ts', 'restarts at once gets them back a twentieth a second'],
    without: { file: LINK, from: 'this.#stood ? Math.max(RECONNECT_SPREAD_MS, grownMs) : grownMs', to: 'grownMs' },
  },
  {
    row: 'Q9',
    pitfall: 'two boxes of one client id throw each other out for ever',
    handling: 'a session that was taken over is left alone for five minutes, with an alarm',
    test: ['uplink/brokers.test.ts', 'Q9: a session that another client takes over is left to it for five minutes'],
    without: { file: LINK, from: 'code === TAKEN_OVER ? TAKEN_OVER_WAIT_MS : 0', to: '0' },
  },
  {
    row: 'Q10',
    pitfall: 'keep-alive: a broker that is gone is not noticed',
    handling: 'a keep-alive of 20 s; its loss is a lost link',
    test: [LINK_TEST, 'a broker that falls silent with nothing on its way is given up'],
    without: { file: 'src/uplink/packets.ts', from: 'keepalive: keepAliveS,', to: 'keepalive: 0,' },
  },
  {
    row: 'Q11',
    pitfall: 'certificates are read once',
    handling: 'the files are looked at once a minute, and a new client is made with them',
    test: ['uplink/tls.test.ts', 'are used anew when they have changed, with one session at a time'],
    without: {
      file: LINK,
      from: "if (fingerprintOf(credentials) !== this.#fingerprint) this.#leave('the files of tls or user have changed');",
      to: '',
    },
  },
  {
    row: 'Q12',
    pitfall: "a broker's PUBACK is no stable storage",
    handling: "only the head end's acknowledgement ends the repeats",
    test: [UPLINK_TEST, 'a PUBACK ends the sending; without an ack the same id is said three times more'],
    without: {
      file: 'src/uplink/delivery.ts',
      from: 'return takenMs + this.#ackTimeoutMs(request.message.feederId);',
      to: 'return Number.POSITIVE_INFINITY;',
    },
  },
  {
    row: 'Q13',
    pitfall: 'a message is confirmed before it is kept, or kept and not confirmed: lost, or there twice',
    handling: 'the PUBACK goes when the message is kept, and an id is never taken twice',
    test: [LINK_TEST, 'Q13: is confirmed when it is kept, and not before'],
    without: {
      file: LINK,
      from: 'this.#input.events.message(packet.topic, payload, packet.retain, () => done());',
      to: 'done(); this.#input.events.message(packet.topic, payload, packet.retain, () => {});',
    },
  },
];
