// Settings that end a run which does not get on, instead of hanging: no timeout ends a test that never waits.

/** Every step of time asks for the staleness limit; nothing that is tested here asks so often. */
const READS_MAX = 500_000;

/** Throws once the settings have been asked too often. */
export function bounded<S extends { readonly staleAfterMs: number }>(settings: S): S {
  let reads = 0;
  return {
    ...settings,
    get staleAfterMs() {
      reads += 1;
      if (reads > READS_MAX) throw new Error('time does not get on');
      return settings.staleAfterMs;
    },
  };
}
