// Soon after the start, in the quiet between readings, the path of a request is walked a few hundred times on a feeder
// that does not exist, and the journal's part rolled back: the first real request then runs as fast as the hundredth.
// Nothing of it is kept, said or numbered.
import { newFeederState, stepReading } from './control/feeder-control.ts';
import type { Action, ControlSettings } from './control/types.ts';
import type { ConductorReading } from './feeder.ts';
import { type FeederSettings, type SettingsGroup, targetOf } from './feeder-settings.ts';
import { newId } from './ids.ts';
import type { Journal } from './journal/journal.ts';
import { requestMessage } from './request-message.ts';

export interface RehearsalInput {
  readonly substationId: string;
  readonly feeder: FeederSettings;
  readonly group: SettingsGroup;
  readonly control: ControlSettings;
  readonly journal: Journal;
}

/** Walks it so many times: ten take some milliseconds at first. Storage that fails is the business of the first real commit. */
export function rehearse({ substationId, feeder, group, control, journal }: RehearsalInput, times: number): void {
  if (targetOf(feeder, group) === null) return;
  const atRisk = { ...control.atRisk, delayS: 0, resetDelayS: 0 };
  const quick: ControlSettings = {
    ...control,
    atRisk,
    curtailment: { ...control.curtailment, responseTimeS: 0, minOnS: 0 },
  };
  const reading = (currentA: number, atMs: number) => {
    const conductor: ConductorReading = { currentA, quality: 'good', reason: null };
    return { atMs, L1: conductor, L2: conductor, L3: conductor, N: conductor };
  };
  for (let time = 0; time < times; time++) {
    const state = newFeederState();
    const actions: Action[] = [];
    stepReading(state, quick, reading(atRisk.pickupA + 1, 1_000), actions);
    stepReading(state, quick, reading(atRisk.dropoutA / 2, 2_000), actions);
    const bodies = actions.map((action) => {
      if (action.kind === 'event') return JSON.stringify(action);
      return JSON.stringify(
        requestMessage(action, {
          substationId,
          feeder,
          group,
          settingsHash: '',
          requestId: newId(),
          sequence: time + 1,
          episodeId: newId(),
          supersedes: null,
          wallOffsetMs: 0,
          nowMs: 2_000,
          clockSynchronised: false,
        }),
      );
    });
    const feederId = `${feeder.id}?`;
    const request = {
      requestId: newId(),
      sequence: Number.MAX_SAFE_INTEGER,
      feederId,
      episodeId: '',
      body: bodies.join(),
      offered: false,
      withheld: null,
    };
    const events = bodies.map((body) => ({ feederId, body: () => body }));
    journal.rehearse({
      states: [{ feederId, state }],
      requests: [request],
      withheld: [],
      events,
    });
  }
}
