// The link of the chain of events.
import { hash } from 'node:crypto';

/** Each event's hash covers its text and the hash before it: a change anywhere breaks every later link. */
export function chainHash(before: string, text: string): string {
  return hash('sha256', `${before}\n${text}`, 'hex');
}
