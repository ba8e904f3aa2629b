// How long things take on a serial line: the quiet between frames, and a whole read. Pure.

/** Modbus over Serial Line V1.02, 2.5.1.1: 3.5 characters, and 1.75 ms where a character is shorter than at 19200. */
const GAP_CHARACTERS = 3.5;
const SHORTEST_GAP_MS = 1.75;
/** Start bit, 8 data bits, parity or second stop bit, stop bit. */
const BITS_PER_CHARACTER = 11;
const REQUEST_BYTES = 8;
/** Unit, function code, byte count and CRC around the registers. */
const AROUND_BYTES = 5;

export function gapMs(baudRate: number): number {
  return Math.max(SHORTEST_GAP_MS, GAP_CHARACTERS * characterMs(baudRate));
}

/** Request, answer of so many registers and the quiet behind each; not the time that the meter takes to begin. */
export function readMs(words: number, baudRate: number): number {
  return (REQUEST_BYTES + AROUND_BYTES + 2 * words) * characterMs(baudRate) + 2 * gapMs(baudRate);
}

function characterMs(baudRate: number): number {
  return (1000 * BITS_PER_CHARACTER) / baudRate;
}
