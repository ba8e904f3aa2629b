// The answer of `check`: the warnings, the settings hash, and every value in force, so that no default is hidden.
import type { Judgement } from '../configuration.ts';
import { staleAfterMs } from '../source-settings.ts';
import { showProblem } from '../yaml-file.ts';

/** Problems are the caller's to print on stderr, except in JSON. */
export function check(judgement: Judgement, json: boolean): string {
  const { configuration, problems, warnings } = judgement;
  if (json) {
    const settings = configuration?.settings ?? null;
    return `${JSON.stringify({ ok: configuration !== null, hash: configuration?.hash ?? null, problems, warnings, settings }, null, 2)}\n`;
  }
  const lines = warnings.map((warning) => `warning: ${showProblem(warning)}`);
  if (configuration === null) {
    lines.push(`${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`);
    return `${lines.join('\n')}\n`;
  }
  const { settings, hash } = configuration;
  lines.push(`${configuration.file}: good, settings hash ${hash}`, '', 'Values in force:');
  lines.push(
    ...flat(
      { ...settings, sources: settings.sources.map((source) => ({ ...source, staleAfterMs: staleAfterMs(source) })) },
      '',
    ),
  );
  return `${lines.join('\n')}\n`;
}

function flat(value: unknown, path: string): string[] {
  if (value === undefined) return [];
  if (value === null || typeof value !== 'object') return [`  ${path.padEnd(60)} ${String(value)}`];
  if (Array.isArray(value)) return value.flatMap((item, index) => flat(item, `${path}[${index}]`));
  return Object.entries(value).flatMap(([key, inner]) => flat(inner, path === '' ? key : `${path}.${key}`));
}
