// What the judges of a configuration share: how they speak, and how they look at values as given, so that one wrong
// value does not hide what is wrong with another.
import { statSync } from 'node:fs';
import type { Path } from './yaml-file.ts';

export interface Say {
  /** `value` says what is in force where the file says nothing. */
  refuse(path: Path, expected: string, value?: string): void;
  warn(path: Path, expected: string, value?: string): void;
}

export function refuseDoubles(items: unknown[], name: string, say: Say): void {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const id = text(item, 'id');
    if (id === null) continue;
    if (seen.has(id)) say.refuse([name, index, 'id'], `an id that no other of the ${name} has`);
    seen.add(id);
  }
}

export function field(from: unknown, key: string): unknown {
  return from !== null && typeof from === 'object' ? (from as Record<string, unknown>)[key] : undefined;
}

export function list(from: unknown, key: string): unknown[] {
  const value = field(from, key);
  return Array.isArray(value) ? value : [];
}

export function number(from: unknown, key: string): number | null {
  const value = field(from, key);
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function text(from: unknown, key: string): string | null {
  const value = field(from, key);
  return typeof value === 'string' ? value : null;
}

export function isFile(path: string): boolean {
  try {
    return !statSync(path).isDirectory();
  } catch {
    return false;
  }
}
