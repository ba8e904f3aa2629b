// What a page is put together from: text made safe for HTML, and files and data inlined, so that a page needs nothing
// else.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export function escaped(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => names[character] ?? character);
}

/** Beside the sources also where the program is built, since a browser's file is not compiled. */
export function own(name: string): string {
  return readFileSync(new URL(`../../../src/workbench/report/${name}`, import.meta.url), 'utf8');
}

export function packaged(specifier: string): string {
  return readFileSync(fileURLToPath(import.meta.resolve(specifier)), 'utf8');
}

/** Data for a script of the page. */
export function inlined(data: unknown): string {
  return JSON.stringify(data).replaceAll('<', '\\u003c');
}
