// Random numbers that a seed fixes, for runs that can be repeated.

/** Numbers from 0 to under 1 (mulberry32, Tommy Ettinger, public domain), begun with the text or number of a seed. */
export function seededRandom(seed: string | number): () => number {
  // FNV-1a over the text, so that near seeds begin far apart.
  let state = 0x811c9dc5;
  for (const character of String(seed)) state = Math.imul(state ^ character.charCodeAt(0), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
