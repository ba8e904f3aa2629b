// The verbs and their options. Exit codes: 0 done, 1 the thing asked about is not so, 2 wrong use or a configuration
// with errors. A user's mistake is one clear line on stderr, never a stack trace.
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { systemClock } from './clock.ts';
import { type Configuration, configurationOrProblems, readConfiguration } from './configuration.ts';
import { VERSION } from './version.ts';
import type { ExportOptions } from './workbench/export/export-verb.ts';
import type { HeadEndVerbOptions } from './workbench/headend/verb.ts';
import type { MeterOptions } from './workbench/meter/meter-verb.ts';
import type { ReplayOptions } from './workbench/replay/replay-verb.ts';
import type { SimulateOptions } from './workbench/simulate/simulate-verb.ts';
import type { StudyOptions } from './workbench/study/study-verb.ts';
import { showProblem } from './yaml-file.ts';

const DONE = 0;
const NOT_SO = 1;
const WRONG_USE = 2;

/** Runs one command line and gives its exit code. */
export async function commandLine(argv: readonly string[]): Promise<number> {
  let code = DONE;
  const set: Set = async (verb) => {
    code = await verb;
  };
  const program = new Command('headroom')
    .description(
      'Edge controller for low-voltage feeders: asks the head end to slow EV chargers before a cable overloads',
    )
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(text.replace(/^error: /, 'headroom: ')) });
  addServiceVerbs(program, set);
  addWorkbenchVerbs(program, set);
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USE;
    process.stderr.write(`headroom: ${(error as Error).message}\n`);
    return NOT_SO;
  }
  return code;
}

type Set = (verb: Promise<number> | number) => Promise<void>;

function addServiceVerbs(program: Command, set: Set): void {
  program
    .command('run')
    .description('run the controller')
    .argument('<config>', 'configuration file')
    .action((file: string) => set(runVerb(file)));
  program
    .command('check')
    .description('judge a configuration: every problem with its place, then every value in force')
    .argument('<config>', 'configuration file')
    .option('--json', 'as one JSON document')
    .action((file: string, { json }: { json?: boolean }) => set(checkVerb(file, json === true)));
  program
    .command('status')
    .description('what a running or stopped controller was doing last')
    .argument('<path>', 'configuration file or journal folder')
    .option('--health', 'print nothing; exit 0 when scans complete, else 1')
    .option('--json', 'as one JSON document')
    .action((path: string, options: { health?: boolean; json?: boolean }) => set(statusVerb(path, options)));
  program
    .command('events')
    .description('the sequence of events')
    .argument('<path>', 'configuration file or journal folder')
    .option('--last <count>', 'how many', wholeNumber, 50)
    .option('--verify', 'prove the chain whole, or name its first broken link')
    .option('--json', 'as one JSON document')
    .action((path: string, options: { last: number; verify?: boolean; json?: boolean }) =>
      set(eventsVerb(path, options)),
    );
  program
    .command('impact')
    .description('what limits have cost the customers behind each feeder in the last year')
    .argument('<config>', 'configuration file')
    .option('--settlement', 'and the energy held back and returned in each half hour, estimated')
    .option('--json', 'as one JSON document')
    .action((file: string, options: { settlement?: boolean; json?: boolean }) =>
      set(import('./workbench/impact-verb.ts').then(({ impact }) => impact(file, options))),
    );
}

function addWorkbenchVerbs(program: Command, set: Set): void {
  addReplayVerb(program, set);
  addExportVerb(program, set);
  addMeterVerb(program, set);
  addStudyVerbs(program, set);
  program
    .command('trust')
    .description('show the certificate of an OPC UA server, and accept it by its fingerprint')
    .argument('<config>', 'configuration file')
    .argument('<source>', 'id of the OPC UA source')
    .option('--accept <fingerprint>', 'SHA-256 fingerprint as read on the server itself')
    .option('--json', 'as one JSON document')
    .action((file: string, source: string, options: { accept?: string; json?: boolean }) =>
      set(trustVerb(file, source, options)),
    );
  program
    .command('demo')
    .description('a winter evening in two minutes, with meter, broker and head end in this one process')
    .action(() => set(import('./workbench/demo.ts').then(({ demo }) => demo())));
  program
    .command('headend')
    .description('the reference head end: checks requests, makes service requests of them, acknowledges in stages')
    .requiredOption('--broker <url>', 'mqtt:// or mqtts://host:port; several with commas between them')
    .option('--session <id>', 'client id of a persistent session')
    .option('--rules <file>', 'JSON: caps, target groups, overridden feeders; read again at SIGHUP')
    .option('--counts <file>', 'keeps what the rules have counted over restarts, of this worker alone')
    .option('--ca <file>', 'PEM file of the authority that signed the broker')
    .option('--cert <file>', 'PEM file of the client certificate')
    .option('--key <file>', 'PEM file of its key')
    .option('--dcc-delay <seconds>', 'mean round trip of a service request', positive, 2)
    .option('--dcc-rate <number>', 'service requests a second; 0: no limit', positive, 0)
    .option('--failures <share>', 'of the devices that do not answer, 0 to 1', share, 0)
    .option('--effect-delay <seconds>', 'until every device has acted, at random', positive, 8)
    .option('--devices <number>', 'behind each target group', wholeNumber, 12)
    .option('--hcalcs <share>', 'of them that are switches (7.6, 7.8)', share, 0.25)
    .option('--state-only <share>', 'of the others that take 7.13 and not 7.16', share, 0.1)
    .option('--unknown-phase <share>', 'of them whose phase is not known', share, 0.2)
    .option('--seed <number>', 'of the devices and the chain', wholeNumber, 1)
    .option('--worker <number>', 'which of the workers this is, from 0', wholeNumber, 0)
    .option('--workers <number>', 'among which the substations are divided', wholeNumber, 1)
    .option('--hear', 'events and telemetry too, by shared subscriptions')
    .option('--json', 'a JSON document per line')
    .action((options: HeadEndVerbOptions) =>
      set(import('./workbench/headend/verb.ts').then(({ headend }) => headend(options))),
    );
  program
    .command('play')
    .description('serve a recorded trace as a Modbus TCP meter')
    .argument('<trace>', 'native CSV or COMTRADE (.cfg, .cff); any other CSV with --mapping')
    .option('--mapping <file>', 'how another CSV, or the channels of a record, become amperes of feeders')
    .option('--feeder <id>', 'which feeder of the trace')
    .option('--host <address>', 'where to listen', '127.0.0.1')
    .option('--port <number>', 'where to listen; 0: any free port', wholeNumber, 0)
    .option('--speed <factor>', 'seconds of the trace per second', positive, 1)
    .option('--voltage <volts>', 'that the meter shows', positive, 240)
    .option('--power-factor <factor>', 'of the watts that the meter shows', positive, 0.98)
    .option('--scale <factor>', 'multiply every current', positive, 1)
    .option('--from <time>', 'ISO 8601, or seconds')
    .option('--to <time>', 'ISO 8601, or seconds')
    .option('--profile <name>', 'which meter to be', 'eastron-sdm630')
    .option('--interpolate', 'straight lines between rows instead of steps')
    .option('--loop', 'from the start again at the end')
    .option('--verbose', 'a line per row')
    .action((trace: string, { voltage, ...options }: { voltage: number }) =>
      set(import('./workbench/play.ts').then(({ play }) => play({ trace, voltageV: voltage, ...options }))),
    );
}

function addStudyVerbs(program: Command, set: Set): void {
  program
    .command('simulate')
    .description('one feeder in the closed loop: homes, cars, chargers, head end and DCC around the same control code')
    .option('--feeder <name>', 'ieee, or an ENWL feeder as "enwl 2/1"; the first of the data unless given')
    .option('--data <dir>', 'folder of recorded data; ../shared/data where it is there, else synthetic')
    .option('--controller <name>', 'proportional, onOff, threshold, cap or evening', 'proportional')
    .option('--evs <number>', 'how many; one a home unless given', wholeNumber)
    .option(
      '--sections <number>',
      'meters downstream as well, at the sections that the head shows least',
      wholeNumber,
      0,
    )
    .option('--seed <number>', 'of the year', wholeNumber, 1)
    .option('--day <number>', '1 to 365; the whole year unless given', wholeNumber)
    .option('--homes <name>', 'profiles of a winter day: enwl, or ieee', 'enwl')
    .option('--heat-pumps <share>', 'of the homes that have one, 0 to 1', share, 0)
    .option('--tariff <share>', 'of the cars that wait for 00:30, 0 to 1', share, 0)
    .option('--report <file>', 'a self-contained HTML page with charts')
    .option('--json', 'as one JSON document')
    .action((options: SimulateOptions) =>
      set(import('./workbench/simulate/simulate-verb.ts').then(({ simulateVerb }) => simulateVerb(options))),
    );
  program
    .command('study')
    .description('how many EVs a feeder can host, without control and with it')
    .option('--feeder <name>', 'ieee, or an ENWL feeder as "enwl 2/1"; all: every feeder; the first unless given')
    .option('--data <dir>', 'folder of recorded data; ../shared/data where it is there, else synthetic')
    .option('--mode <mode>', 'proportional or onOff', 'proportional')
    .option(
      '--sections <number>',
      'meters downstream as well, at the sections that the head shows least',
      wholeNumber,
      0,
    )
    .option('--seeds <number>', 'seed-years', wholeNumber, 60)
    .option('--first-seed <number>', 'the first of them', wholeNumber, 1)
    .option('--fleet', 'instead: the cars without control against what Electric Nation measured')
    .option('--table', 'other controllers beside it, and what happens when things go wrong')
    .option('--homes <name>', 'profiles of a winter day: enwl, or ieee', 'enwl')
    .option('--heat-pumps <share>', 'of the homes that have one, 0 to 1', share, 0)
    .option('--tariff <share>', 'of the cars that wait for 00:30, 0 to 1', share, 0)
    .option('--workers <number>', 'as many as there are cores unless given', wholeNumber)
    .option('--resume <file>', 'keeps what is done there, and goes on from it')
    .option('--report <file>', 'a self-contained HTML page with tables and curves')
    .option('--json', 'as one JSON document')
    .action((options: StudyOptions) =>
      set(import('./workbench/study/study-verb.ts').then(({ studyVerb }) => studyVerb(options))),
    );
}

function addExportVerb(program: Command, set: Set): void {
  program
    .command('export')
    .description('what a controller saw: disturbance records and history, as native CSV or COMTRADE 2013')
    .argument('<path>', 'configuration file or journal folder')
    .option('--record <numbers>', 'a disturbance record, or several in a row, as 3-5; else the history by the minute')
    .option('--feeder <ids>', 'whose: one, several as F1,F2, or all')
    .option(
      '--out <file>',
      '.csv (several feeders too), .cfg (with .dat and .hdr) or .cff; without it a list of what there is',
    )
    .option('--format <name>', 'of COMTRADE data: ASCII, BINARY, BINARY32 or FLOAT32', 'ASCII')
    .option('--json', 'the list as one JSON document')
    .action((path: string, options: ExportOptions) =>
      set(
        import('./workbench/export/export-verb.ts').then(({ exportVerb }) => {
          const folder = journalFolder(path);
          return folder === null ? WRONG_USE : exportVerb(folder, options);
        }),
      ),
    );
}

function addReplayVerb(program: Command, set: Set): void {
  program
    .command('replay')
    .description('run recorded traces through the control code of the controller (open loop)')
    .argument('<config>', 'configuration file')
    .argument('<trace...>', 'native CSV or COMTRADE (.cfg, .cff); any other CSV with --mapping')
    .option('--mapping <file>', 'how another CSV, or the channels of a record, become amperes of feeders')
    .option('--feeder <id>', 'whose currents a COMTRADE record holds')
    .option('--initial-thermal <percent>', 'heat of the thermal elements at the start; cold unless given', positive)
    .option('--gap <seconds>', 'what is a gap; else more than three median intervals', moreThanZero)
    .option('--compare <config>', 'another configuration over the same traces, side by side')
    .option('--sweep <range>', 'a setting of every group over a range, as atRisk.pickupA=300:400:10')
    .option('--report <file>', 'a self-contained HTML page with charts')
    .option('--strict', 'end at the first row that cannot be read')
    .option('--json', 'as one JSON document')
    .action((config: string, traces: string[], options: ReplayOptions) =>
      set(import('./workbench/replay/replay-verb.ts').then(({ replayVerb }) => replayVerb(config, traces, options))),
    );
}

function addMeterVerb(program: Command, set: Set): void {
  program
    .command('meter')
    .description('for commissioning: raw words of a source beside their amperes; which meter or unit answers')
    .argument('[config]', 'configuration file')
    .argument('[source]', 'id of a source in it')
    .option('--once', 'read once, not until Ctrl-C')
    .option('--identify <host>', 'which meter answers at host or host:port (Modbus TCP)')
    .option('--scan <line>', 'which units answer on a serial device, or at host:port of a device server')
    .option('--unit <number>', 'unit id for --identify', wholeNumber, 1)
    .option('--from <number>', 'first unit id for --scan', wholeNumber, 1)
    .option('--to <number>', 'last unit id for --scan', wholeNumber, 247)
    .option('--baud <number>', 'of the line for --scan', wholeNumber, 19_200)
    .option('--parity <word>', 'even, odd or none', 'even')
    .option('--stop-bits <number>', '1 or 2', wholeNumber, 1)
    .option('--timeout <ms>', 'until a unit counts as silent', wholeNumber, 300)
    .option('--json', 'as JSON')
    .action((file: string | undefined, source: string | undefined, options: MeterOptions) =>
      set(import('./workbench/meter/meter-verb.ts').then(({ meter }) => meter(file, source, options))),
    );
}

async function runVerb(file: string): Promise<number> {
  const configuration = configurationOrProblems(file);
  if (configuration === null) return WRONG_USE;
  const [{ run }, { standardLog }] = await Promise.all([import('./run.ts'), import('./log.ts')]);
  await run(configuration, standardLog());
  return DONE;
}

async function checkVerb(file: string, json: boolean): Promise<number> {
  const judgement = readConfiguration(file);
  const { check } = await import('./workbench/check/check.ts');
  process.stdout.write(check(judgement, json));
  if (!json) for (const problem of judgement.problems) process.stderr.write(`${showProblem(problem)}\n`);
  return judgement.configuration === null ? WRONG_USE : DONE;
}

async function trustVerb(
  file: string,
  source: string,
  { accept, json }: { accept?: string; json?: boolean },
): Promise<number> {
  const configuration = configurationOrProblems(file);
  if (configuration === null) return WRONG_USE;
  const { showTrust, trust } = await import('./workbench/trust.ts');
  try {
    const answer = await trust(configuration.settings, source, accept, systemClock());
    process.stdout.write(showTrust(answer, json === true));
    return answer.isTrusted ? DONE : NOT_SO;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`headroom: ${error.message}\n`);
    return WRONG_USE;
  }
}

async function statusVerb(path: string, options: { health?: boolean; json?: boolean }): Promise<number> {
  const folder = journalFolder(path);
  if (folder === null) return WRONG_USE;
  const [reader, { showStatus }] = await Promise.all([import('./journal/reader.ts'), import('./workbench/show.ts')]);
  const alive = reader.heartbeatFresh(folder, systemClock().wallMs());
  if (options.health === true) return alive ? DONE : NOT_SO;
  process.stdout.write(showStatus(reader.readStatus(folder), alive, reader.readRunning(folder), options.json === true));
  return DONE;
}

async function eventsVerb(path: string, options: { last: number; verify?: boolean; json?: boolean }): Promise<number> {
  const folder = journalFolder(path);
  if (folder === null) return WRONG_USE;
  const [reader, show] = await Promise.all([import('./journal/reader.ts'), import('./workbench/show.ts')]);
  if (options.verify === true) {
    const proof = reader.verifyEvents(folder);
    process.stdout.write(show.showProof(proof, options.json === true));
    return proof.broken === null ? DONE : NOT_SO;
  }
  process.stdout.write(show.showEvents(reader.readEvents(folder, options.last), options.json === true));
  return DONE;
}

/** A configuration names its journal; anything that is no YAML file is the journal's folder itself. */
function journalFolder(path: string): string | null {
  if (!/\.ya?ml$/.test(path)) return path;
  const configuration: Configuration | null = configurationOrProblems(path);
  return configuration?.settings.journal.path ?? null;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0 || text.trim() === '')
    throw new InvalidArgumentError(`${text}, expected a number of at least 0.`);
  return value;
}

function moreThanZero(text: string): number {
  const value = positive(text);
  if (value === 0) throw new InvalidArgumentError(`${text}, expected a number more than 0.`);
  return value;
}

function wholeNumber(text: string): number {
  const value = positive(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError(`${text}, expected a whole number.`);
  return value;
}

function share(text: string): number {
  const value = positive(text);
  if (value > 1) throw new InvalidArgumentError(`${text}, expected a share from 0 to 1.`);
  return value;
}
