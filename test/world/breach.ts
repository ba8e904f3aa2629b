// What the judges of the simulated world throw.

/** A rule of design sections 7 to 9 was broken: which, and the evidence in one line. */
export class Breach extends Error {}
