// Headroom's own verbs as processes of their own, as a service manager or a person at a terminal starts them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

/** A verb that goes on until it is ended; `output` is where both of its streams go, nowhere unless given. */
export function startVerb(
  args: readonly string[],
  output: number | 'ignore' = 'ignore',
  env: NodeJS.ProcessEnv = process.env,
): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', output, output], env });
}

/** A verb to its end. */
export async function verb(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** A trace behind a simulated meter; resolves when it listens. */
export async function startMeter(...args: string[]): Promise<{ process: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [MAIN, 'play', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { process: child, port: Number(/port (\d+)/.exec(line)?.[1]) };
}

/** By its own process id; resolves when it has ended. */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
