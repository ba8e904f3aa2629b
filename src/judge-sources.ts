// Relations between the settings of the sources.
import { field, list, number, refuseDoubles, type Say, text } from './judge.ts';

export function judgeSources(given: unknown, say: Say): void {
  const sources = list(given, 'sources');
  refuseDoubles(sources, 'sources', say);
  for (const [index, source] of sources.entries()) {
    const pollMs = number(source, 'pollMs') ?? 200;
    const staleMs = number(source, 'staleAfterMs');
    if (staleMs !== null && staleMs <= pollMs) {
      say.refuse(['sources', index, 'staleAfterMs'], `more than pollMs (${pollMs})`);
    }
    const id = text(source, 'id');
    const used = list(given, 'feeders').some((feeder) => text(field(feeder, 'currents'), 'source') === id);
    if (id !== null && !used) say.warn(['sources', index, 'id'], 'the id of a source that a feeder uses');
  }
}
