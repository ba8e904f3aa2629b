// `headroom impact CONFIG`: reads the journal of a running or stopped controller and says what its limits have cost.
import { systemClock } from '../clock.ts';
import { type Configuration, configurationOrProblems } from '../configuration.ts';
import { readSentRequests } from '../journal/reader.ts';
import { ackSchema, curtailmentSchema } from '../messages.ts';
import { type ImpactTerms, impactOf, showImpact } from './impact.ts';

/** An episode that began before the year has its first request this long before it at most. */
const BEFORE_YEAR_MS = 7 * 24 * 3_600_000;
const YEAR_MS = 365 * 24 * 3_600_000;

/** Gives the exit code: 0, or 2 for a configuration with errors. Throws in one clear line where there is no journal. */
export function impact(file: string, { settlement = false, json = false }): number {
  const configuration = configurationOrProblems(file);
  if (configuration === null) return 2;
  const nowMs = systemClock().wallMs();
  const sent = readSentRequests(configuration.settings.journal.path, nowMs - YEAR_MS - BEFORE_YEAR_MS);
  const requests = sent.map(({ body, acks }) => ({
    message: curtailmentSchema.parse(JSON.parse(body)),
    acks: acks.map((ack) => ackSchema.parse(JSON.parse(ack))),
  }));
  process.stdout.write(showImpact(impactOf(requests, termsOf(configuration), nowMs), settlement, json));
  return 0;
}

/** Of several settings groups the first one's budget counts: customers have one year, whatever the season. */
function termsOf({ settings }: Configuration): ImpactTerms[] {
  return settings.feeders.flatMap(({ id, settings: [group] }) =>
    group === undefined ? [] : [{ feederId: id, budget: group.budget, responseTimeS: group.curtailment.responseTimeS }],
  );
}
