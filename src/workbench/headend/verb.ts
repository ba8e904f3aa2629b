// The verb `headend`: the reference head end on a broker, a line for each request, service request and
// acknowledgement, until SIGINT or SIGTERM.
import { isoTime, systemClock } from '../../clock.ts';
import { seededRandom } from '../seeded-random.ts';
import { makeFleet } from './fleet.ts';
import { openHeadEnd } from './head-end.ts';
import { type KeptCounts, openCounts } from './kept-counts.ts';
import { DEFAULT_RULES, type Rules, readRules } from './rules.ts';

export interface HeadEndVerbOptions {
  readonly broker: string;
  readonly session?: string;
  readonly rules?: string;
  readonly counts?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly dccDelay: number;
  readonly dccRate: number;
  readonly failures: number;
  readonly effectDelay: number;
  readonly devices: number;
  readonly hcalcs: number;
  readonly stateOnly: number;
  readonly unknownPhase: number;
  readonly seed: number;
  readonly worker: number;
  readonly workers: number;
  readonly hear?: boolean;
  readonly json?: boolean;
}

/** Gives the exit code: 0 when it was told to stop. Rejects when the broker cannot be reached. */
export async function headend(options: HeadEndVerbOptions): Promise<number> {
  if (options.worker >= options.workers) {
    process.stderr.write(`--worker is ${options.worker}, expected less than --workers ${options.workers}\n`);
    return 2;
  }
  const strange = options.broker.split(',').find((url) => !/^mqtts?:$/.test(URL.parse(url)?.protocol ?? ''));
  if (strange !== undefined) {
    process.stderr.write(`--broker is ${strange}, expected mqtt://HOST:PORT or mqtts://HOST:PORT\n`);
    return 2;
  }
  const { ca, cert, key } = options;
  let rules: Rules;
  let counts: KeptCounts | undefined;
  try {
    rules = options.rules === undefined ? DEFAULT_RULES : readRules(options.rules);
    if (options.counts !== undefined) counts = openCounts(options.counts);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 2;
  }
  const print = (kind: string, body: object, line: string) =>
    void process.stdout.write(
      options.json ? `${JSON.stringify({ kind, ...body })}\n` : `${isoTime(Date.now())} ${line}\n`,
    );
  const fleet = {
    devices: options.devices,
    hcalcsShare: options.hcalcs,
    stateShare: options.stateOnly,
    unknownPhaseShare: options.unknownPhase,
  };
  const headEnd = await openHeadEnd(
    {
      broker: options.broker,
      ...(options.session !== undefined && { session: options.session }),
      ...((ca ?? cert ?? key) !== undefined && {
        tls: { ...(ca && { caFile: ca }), ...(cert && { certFile: cert }), ...(key && { keyFile: key }) },
      }),
      roundTripS: options.dccDelay,
      perSecond: options.dccRate,
      failureShare: options.failures,
      effectDelayS: options.effectDelay,
      worker: options.worker,
      workers: options.workers,
      hears: options.hear === true,
      rules,
      ...(counts && { counts }),
      fleet: (targetGroupId) => makeFleet(targetGroupId, options.seed, fleet),
      random: seededRandom(options.seed),
      clock: systemClock(),
    },
    {
      request: (message) => {
        const { substationId, feederId, action, phases, levelPercent, sequence, end } = message;
        const line = `<- ${substationId}/${feederId} ${action} ${levelPercent} % on ${phases.join(' ')} until ${end}, sequence ${sequence}`;
        print('request', message, line);
      },
      serviceRequest: (request) => {
        const fields = Object.entries(request.fields).map(([name, value]) => `${name}=${value}`);
        print(
          'serviceRequest',
          request,
          `   ${request.srv} ${request.name} to ${request.deviceId}: ${fields.join(' ')}`,
        );
      },
      ack: (ack) => {
        const { status, sequence, devices, reason } = ack;
        const counted = devices && `, ${devices.acknowledged} of ${devices.targeted} devices, ${devices.failed} failed`;
        print('ack', ack, `-> ${status}, sequence ${sequence}${counted ?? ''}${reason ? ` (${reason})` : ''}`);
      },
      event: (event) => {
        const { substationId, feederId, type, at, sequence, reason } = event;
        print('event', event, `<- ${substationId}/${feederId ?? '-'} event ${sequence} ${type} at ${at} (${reason})`);
      },
      telemetry: (telemetry) => {
        const { substationId, feederId, end, state, L1, L2, L3 } = telemetry;
        const means = [L1, L2, L3].map((phase) => phase?.averageA ?? '-').join(' ');
        print('telemetry', telemetry, `<- ${substationId}/${feederId} telemetry to ${end}: ${means} A, ${state}`);
      },
      refused: (topic, reason) => print('refused', { topic, reason }, `not taken: ${topic}: ${reason}`),
      unkept: (reason) => void process.stderr.write(`what the rules have counted cannot be kept: ${reason}\n`),
    },
  );
  print('started', { broker: options.broker }, `head end on ${options.broker}`);
  const file = options.rules;
  if (file !== undefined) {
    process.on('SIGHUP', () => {
      try {
        headEnd.changeRules(readRules(file));
        print('rules', { file }, `rules of ${file} from now on`);
      } catch (error) {
        process.stderr.write(`${(error as Error).message}\n`);
      }
    });
  }
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await headEnd.close();
  return 0;
}
