// One contestant's process: started on its core or beside others, with its clock, killed and started again, and what it has used so far.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, readFileSync, renameSync, type WriteStream, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Used {
  readonly cpuS: number;
  readonly residentMb: number;
  readonly writtenMb: number;
}

export interface ProgramOptions {
  readonly command: readonly string[];
  readonly environment: Record<string, string>;
  readonly folder: string;
  readonly log: string;
  /** How many times as fast its clock runs; 1 with `clockMoves` for a clock that jumps. */
  readonly rate: number;
  readonly clockMoves: boolean;
  /** It has the first core to itself; else it shares all of them, behind the rig. */
  readonly alone: boolean;
  /** Wall clock of the evening now, ms. */
  readonly wallMs: () => number;
}

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'.replace('x86_64', archOf());
const ALL_CORES = `0-${availableParallelism() - 1}`;
/** So that meters answer in time, however many contestants there are. */
const BEHIND = ['nice', '-n', '5'];
const CLOCK_TICKS = 100;
const STOP_MS = 5_000;

function archOf(): string {
  return process.arch === 'arm64' ? 'aarch64' : 'x86_64';
}

export const hasFaketime = existsSync(FAKETIME);
const hasTaskset = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0;

/** A contestant that is timed has the first core, everything else the others. */
export function leaveFirstCore(): void {
  if (hasTaskset) spawnSync('taskset', ['-a', '-p', '-c', `1-${availableParallelism() - 1}`, String(process.pid)]);
}

export class Program {
  readonly #options: ProgramOptions;
  readonly #log: WriteStream;
  #child: ChildProcess | null = null;
  #cpuS = 0;
  #writtenMb = 0;
  kills = 0;
  /** How it ended where nobody had asked for it. */
  died: string | null = null;

  constructor(options: ProgramOptions) {
    this.#options = options;
    this.#log = createWriteStream(options.log, { flags: 'a' });
  }

  start(): void {
    const { command, environment, alone } = this.#options;
    const words = [
      ...(hasTaskset ? ['taskset', '-c', alone ? '0' : ALL_CORES] : []),
      ...(alone ? [] : BEHIND),
      ...this.#fast(),
      ...command,
    ];
    const child = spawn(words[0] as string, words.slice(1), {
      cwd: this.#options.folder,
      env: { ...process.env, NODE_OPTIONS: '', ...environment, ...this.#clock() },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout?.pipe(this.#log, { end: false });
    child.stderr?.pipe(this.#log, { end: false });
    child.on('exit', (code, signal) => {
      if (this.#child === child) this.died = `ended with ${code ?? signal}`;
    });
    this.#child = child;
  }

  /** A clock that jumps is moved by rewriting the file that libfaketime looks at. */
  setClock(offsetS: number): void {
    const file = join(this.#options.folder, 'clock');
    writeFileSync(`${file}.new`, `${offsetS < 0 ? '' : '+'}${offsetS}`);
    renameSync(`${file}.new`, file);
  }

  async kill(): Promise<void> {
    this.#count();
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    this.kills += 1;
  }

  async stop(): Promise<void> {
    this.#count();
    const child = this.#child;
    this.#child = null;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await Promise.race([ended, sleep(STOP_MS)]);
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await ended;
      }
    }
    this.#log.end();
  }

  /** Of this process and those before it that were killed; resident memory of this one. */
  used(): Used {
    const now = this.#now();
    return { cpuS: this.#cpuS + now.cpuS, residentMb: now.residentMb, writtenMb: this.#writtenMb + now.writtenMb };
  }

  #count(): void {
    const now = this.#now();
    this.#cpuS += now.cpuS;
    this.#writtenMb += now.writtenMb;
  }

  #now(): Used {
    const none = { cpuS: 0, residentMb: 0, writtenMb: 0 };
    const pid = this.#child?.pid;
    if (pid === undefined) return none;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const io = readFileSync(`/proc/${pid}/io`, 'utf8');
      return {
        cpuS: (Number(stat[11]) + Number(stat[12])) / CLOCK_TICKS,
        residentMb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024,
        writtenMb: Number(/^write_bytes: (\d+)/m.exec(io)?.[1] ?? 0) / 1e6,
      };
    } catch {
      return none;
    }
  }

  #clock(): Record<string, string> {
    const { clockMoves, folder } = this.#options;
    if (!clockMoves) return { TZ: 'UTC' };
    if (!existsSync(join(folder, 'clock'))) this.setClock(0);
    return {
      LD_PRELOAD: FAKETIME,
      FAKETIME_TIMESTAMP_FILE: join(folder, 'clock'),
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      TZ: 'UTC',
    };
  }

  /** A clock that runs faster is set in the last moment before the program: a late start would put it behind. */
  #fast(): string[] {
    const { rate, wallMs } = this.#options;
    if (rate === 1) return [];
    const [realUs, eveningUs] = [Math.round(Date.now() * 1000), Math.round(wallMs() * 1000)];
    const ahead = `$(( (\${EPOCHREALTIME/./} - ${realUs}) * ${rate - 1} + ${eveningUs - realUs} ))`;
    const script = `us=${ahead}; s=$((us / 1000000)); printf -v f %06d $((us % 1000000)); LD_PRELOAD=${FAKETIME} FAKETIME="+$s.$f x${rate}" exec "$@"`;
    return ['bash', '-c', script, 'bash'];
  }
}
