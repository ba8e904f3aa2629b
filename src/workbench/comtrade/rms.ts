// Waveforms to what a meter shows: the true root mean square over each cycle of the line, its time the end of the
// cycle. A cycle need not be a whole number of samples: the part of a sample at its edge counts for its part. A cycle in
// which a value is missing has none. A record of few samples per cycle holds magnitudes already, and stays as it is.

export interface RmsReading {
  readonly atMs: number;
  /** By channel; NaN where there is none. */
  readonly values: readonly number[];
}

/** Under this many samples per cycle nothing can be a waveform: a record of a meter, or of averages. */
const WAVEFORM_SAMPLES_MIN = 4;
/** A stretch ends where the next sample is later than this many intervals. */
const STRETCH_INTERVALS = 1.5;

export function isWaveform(timesMs: Float64Array, lineFrequencyHz: number): boolean {
  return 1000 / lineFrequencyHz / medianInterval(timesMs) >= WAVEFORM_SAMPLES_MIN;
}

/** One reading per whole cycle of each stretch that has no hole. */
export function rmsPerCycle(
  timesMs: Float64Array,
  channels: readonly Float64Array[],
  lineFrequencyHz: number,
): RmsReading[] {
  const cycleMs = 1000 / lineFrequencyHz;
  const readings: RmsReading[] = [];
  for (const { from, to } of stretches(timesMs)) {
    const intervalMs = ((timesMs[to - 1] ?? 0) - (timesMs[from] ?? 0)) / (to - from - 1);
    const perCycle = cycleMs / intervalMs;
    const sums = channels.map((values) => runningSums(values, from, to));
    for (let cycle = 0; (cycle + 1) * perCycle <= to - from + 1e-6; cycle++) {
      const [start, end] = [cycle * perCycle, Math.min(to - from, (cycle + 1) * perCycle)];
      readings.push({
        atMs: (timesMs[from] ?? 0) + (cycle + 1) * cycleMs,
        values: sums.map((sum) => rmsBetween(sum, start, end, perCycle)),
      });
    }
  }
  return readings;
}

/** Up to sample i: the sum of the squares, and how many values are missing. */
interface RunningSums {
  readonly squares: Float64Array;
  readonly missing: Uint32Array;
}

function runningSums(values: Float64Array, from: number, to: number): RunningSums {
  const squares = new Float64Array(to - from + 1);
  const missing = new Uint32Array(to - from + 1);
  for (let index = from; index < to; index++) {
    const value = values[index] as number;
    const isMissing = Number.isNaN(value);
    squares[index - from + 1] = (squares[index - from] as number) + (isMissing ? 0 : value * value);
    missing[index - from + 1] = (missing[index - from] as number) + (isMissing ? 1 : 0);
  }
  return { squares, missing };
}

function rmsBetween({ squares, missing }: RunningSums, start: number, end: number, length: number): number {
  if ((missing[Math.ceil(end - 1e-9)] ?? 0) > (missing[Math.floor(start)] ?? 0)) return Number.NaN;
  return Math.sqrt(Math.max(0, between(squares, end) - between(squares, start)) / length);
}

function between(sums: Float64Array, at: number): number {
  const whole = Math.floor(at);
  const below = sums[whole] ?? sums.at(-1) ?? 0;
  return below + (at - whole) * ((sums[whole + 1] ?? below) - below);
}

function stretches(timesMs: Float64Array): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = [];
  const longMs = STRETCH_INTERVALS * medianInterval(timesMs);
  let from = 0;
  for (let index = 1; index <= timesMs.length; index++) {
    const isHole = index < timesMs.length && (timesMs[index] as number) - (timesMs[index - 1] as number) > longMs;
    if (index < timesMs.length && !isHole) continue;
    if (index - from > 1) found.push({ from, to: index });
    from = index;
  }
  return found;
}

function medianInterval(timesMs: Float64Array): number {
  const intervals = timesMs.subarray(1).map((atMs, index) => atMs - (timesMs[index] as number));
  intervals.sort();
  return intervals[Math.floor(intervals.length / 2)] ?? Number.NaN;
}
