// The known pitfalls of modbus-serial 8.0.25 (M) and node-opcua 2.186 (O): what each is, what handles it here, the test
// that holds it, and the change that takes the handling away, with which that test must fail. run.ts tries each.

export interface Row {
  readonly row: string;
  readonly pitfall: string;
  readonly handling: string;
  /** The test, by its file under test/ and a part of its name. */
  readonly test: readonly [file: string, name: string];
  /** The handling taken away: in this file, this text becomes that. */
  readonly without: { readonly file: string; readonly from: string; readonly to: string };
}

const CONNECTION = 'acquisition/modbus-connection.test.ts';
const RTU = 'acquisition/modbus-rtu.test.ts';
const OPCUA = 'acquisition/opcua.test.ts';
const TCP_PORT = 'src/acquisition/modbus-tcp-port.ts';
const LINE = 'src/acquisition/modbus-connection.ts';
const SOURCE = 'src/acquisition/opcua-source.ts';
const SESSION = 'src/acquisition/opcua-session.ts';

export const ROWS: readonly Row[] = [
  {
    row: 'M1',
    pitfall: 'RTU: a late answer shifts every later read by one',
    handling: 'a unit that owes an answer is asked only what would be answered in another length',
    test: [RTU, 'is not taken for the answer to a request that it fits'],
    without: {
      file: 'src/acquisition/owed-answers.ts',
      from: 'const free = reads.filter((read) => !this.#owes(answerTo(unitId, read)));',
      to: 'const free = reads;',
    },
  },
  {
    row: 'M1',
    pitfall: 'the same, where the late answer comes while another is waited for',
    handling: 'an answer that is owed is taken for what it is',
    test: [RTU, 'that comes in one segment with the answer after it'],
    without: {
      file: 'src/acquisition/rtu-frame.ts',
      from: 'isException ? owed.owesAny(unitId, functionCode) : owed.mayCome(answer)',
      to: 'false',
    },
  },
  {
    row: 'M2',
    pitfall: 'TCP: transaction ids wrap at 256 and are never retired',
    handling: 'all 16 bits of the id are checked',
    test: [CONNECTION, 'the answer to another transaction (M2)'],
    without: {
      file: TCP_PORT,
      from: 'if (received.readUInt16BE(0) !== asked.transactionId)',
      to: 'if (received.readUInt8(1) > 0xff)',
    },
  },
  {
    row: 'M2',
    pitfall: 'the same, wrapped',
    handling: 'ids run through 65,536',
    test: [CONNECTION, 'M2: an answer from 256 requests ago'],
    without: { file: TCP_PORT, from: 'const TRANSACTION_IDS = 65_536;', to: 'const TRANSACTION_IDS = 256;' },
  },
  {
    row: 'M2',
    pitfall: 'a connection that owes answers is used again',
    handling: 'it is closed at any time-out',
    test: [CONNECTION, 'no answer in time (M3)'],
    without: {
      file: TCP_PORT,
      from: 'giveUp(): boolean {\n    return false;',
      to: 'giveUp(): boolean {\n    this.#outstanding = null;\n    return true;',
    },
  },
  {
    row: 'M3',
    pitfall: 'no time-out by default: a silent meter leaves a read pending for ever',
    handling: 'every read has a deadline of ours',
    test: [CONNECTION, 'M3, M7: when a meter that answered becomes a black hole'],
    without: { file: LINE, from: '() => this.#late(unitId, timeoutMs)', to: '() => {}' },
  },
  {
    row: 'M4',
    pitfall: 'destroying a client never settles what is pending',
    handling: 'the connection answers every read that it took, when it closes too',
    test: [CONNECTION, 'M4: when the connection is closed by us'],
    without: {
      file: LINE,
      from: "for (const { done } of waiting) done({ fault: 'disconnected', detail: fault.detail });",
      to: 'void waiting;',
    },
  },
  {
    row: 'M5',
    pitfall: 'a peer that closes is noticed only at the time-out',
    handling: 'the end of the socket ends the read',
    test: [CONNECTION, 'a closed connection, at once and not at the deadline (M5)'],
    without: {
      file: TCP_PORT,
      from: "this.#socket.on('close', () => this.#fail(",
      to: "this.#socket.on('never', () => this.#fail(",
    },
  },
  {
    row: 'M6',
    pitfall: 'a bad length wedges the stream',
    handling: 'the length is checked, and a breach ends the connection',
    test: [CONNECTION, 'a length of 65535 (M6)'],
    without: { file: TCP_PORT, from: 'if (length < 3 || length > LENGTH_MAX)', to: 'if (length < 0)' },
  },
  {
    row: 'M6',
    pitfall: 'the protocol id is not checked',
    handling: 'it is',
    test: [CONNECTION, 'another protocol id (M6)'],
    without: { file: TCP_PORT, from: 'if (received.readUInt16BE(2) !== 0)', to: 'if (received.length < 0)' },
  },
  {
    row: 'M6',
    pitfall: 'the byte count inside is trusted',
    handling: 'it must be twice the registers that were asked for',
    test: [CONNECTION, 'a byte count of one register too few (M6)'],
    without: { file: TCP_PORT, from: 'answer.readUInt8(8) !== asked.byteCount || ', to: '' },
  },
  {
    row: 'M7',
    pitfall: 'a port stays open with the cable out',
    handling: 'a read without an answer is a bad reading, whatever the port says of itself',
    test: ['acquisition/modbus-source.test.ts', 'M7: are bad with the reason'],
    without: {
      file: 'src/acquisition/modbus-source.ts',
      from: 'fault?.fault ?? this.#currentOf(registers.phases[name])',
      to: 'this.#currentOf(registers.phases[name])',
    },
  },
  {
    row: 'M8',
    pitfall: 'the unit id is state that polls share',
    handling: 'each request carries its own',
    test: [CONNECTION, 'M8: reads of two units over one connection never mix'],
    without: {
      file: LINE,
      from: 'this.#client?.writeFC4(unitId, address',
      to: 'this.#client?.writeFC4(1, address',
    },
  },
  {
    row: 'M9',
    pitfall: 'it does not connect again',
    handling: 'a new client for a new connection, after a wait that grows and is drawn',
    test: [CONNECTION, 'M9: every time, however often the meter hangs up'],
    without: {
      file: LINE,
      from: 'this.#random() * longestMs, () => this.#connect());',
      to: 'this.#random() * longestMs, () => {});',
    },
  },
  {
    row: 'M10',
    pitfall: 'what it calls RTU over TCP speaks the header of Modbus TCP',
    handling: 'a port of our own that passes the bytes of a serial line',
    test: [RTU, 'M10: a source of RTU over TCP'],
    without: {
      file: 'src/acquisition/modbus-lines.ts',
      from: 'return rtuConnection(tcpWire(settings.host, settings.port), settings.timeoutMs, clock, random);',
      to: 'return tcpConnection(settings.host, settings.port, clock, random);',
    },
  },
  {
    row: 'M11',
    pitfall: 'idle gateways drop clients, and keep-alive is off',
    handling: 'it is on, on a socket of our own',
    test: [CONNECTION, 'M11: and keeps itself alive while idle'],
    without: { file: TCP_PORT, from: 'keepAlive: true, ', to: '' },
  },
  {
    row: 'M12',
    pitfall: 'a dependency from elsewhere than the registry',
    handling: 'no entry of the lock names a place',
    test: ['package.test.ts', 'the lock names no registry'],
    without: {
      file: 'package-lock.json',
      from: '"node_modules/modbus-serial": {\n',
      to: '"node_modules/modbus-serial": {\n      "resolved": "https://vendor.example/modbus-serial.tgz",\n',
    },
  },
  {
    row: 'O1',
    pitfall: 'connected, and no more data: monitored items are dead',
    handling: 'reads beside the subscription, and a new session where they contradict it',
    test: [OPCUA, 'O1: goes deaf'],
    without: {
      file: 'src/acquisition/opcua-nodes.ts',
      from: 'if (contradictedSinceMs !== null && nowMs - contradictedSinceMs > graceMs) return true;',
      to: 'if (contradictedSinceMs !== null && nowMs < 0 && graceMs < 0) return true;',
    },
  },
  {
    row: 'O2',
    pitfall: 'the default store trusts unknown servers',
    handling: 'a certificate that nobody has accepted gets no session',
    test: [OPCUA, 'O2: nobody is trusted at the start'],
    without: { file: SESSION, from: 'if (trusted === shown) return;', to: 'if (trusted !== "") return;' },
  },
  {
    row: 'O3',
    pitfall: 'an expired certificate cannot be bypassed, and comes as a surprise',
    handling: 'one that was accepted is taken, with an alarm that begins 60 days before its end',
    test: [OPCUA, 'O3: an expired certificate that was accepted is taken'],
    without: { file: SOURCE, from: 'this.#noticeExpiry(session.expiry());', to: '' },
  },
  {
    row: 'O4',
    pitfall: 'loading it costs half a second and 82 MB',
    handling: 'it is loaded when the first OPC UA source connects',
    test: [OPCUA, 'O4: the library is loaded when an OPC UA source connects'],
    without: {
      file: SESSION,
      from: "import { X509Certificate } from 'node:crypto';",
      to: "import 'node-opcua-client';\nimport { X509Certificate } from 'node:crypto';",
    },
  },
  {
    row: 'O5',
    pitfall: 'its keep-alive compares wall-clock times',
    handling: 'deadlines and ages of our own on the monotonic clock',
    test: [OPCUA, 'O5: a wall clock that is stepped'],
    without: {
      file: SOURCE,
      from: 'this.#clock = input.clock;',
      to: 'this.#clock = { ...input.clock, monotonicMs: () => input.clock.wallMs() };',
    },
  },
  {
    row: 'O6',
    pitfall: 'sessions leak until the server has no more',
    handling: 'one that is given up is closed with its subscriptions',
    test: [OPCUA, 'O6: drops the session again and again'],
    without: { file: SOURCE, from: '    session?.close();\n', to: '' },
  },
  {
    row: 'O7',
    pitfall: 'services that are called at once',
    handling: 'one read at a time',
    test: [OPCUA, 'O7: one read at a time'],
    without: { file: SOURCE, from: 'if (this.#readSentMs !== null) {', to: 'if (this.#readSentMs === -1) {' },
  },
];
