// One request for a feeder as one DUIS service request per device (docs/head-end.md has the mapping and its doubts).
// Pure. Names and fields are those of Smart DCC's open-source templates. 7.5 (Activate Auxiliary Load) is never made:
// it could start charging that nobody wanted; nor is a 7.13 that could raise a level.
import { isoTime } from '../../clock.ts';
import type { Curtailment } from '../../messages.ts';
import type { Device } from './fleet.ts';

export interface ServiceRequest {
  readonly srv: '7.6' | '7.8' | '7.13' | '7.16';
  readonly name: string;
  readonly deviceId: string;
  readonly fields: { readonly [name: string]: string | number };
  /** What the device is permitted when it has obeyed, and until when by itself. */
  readonly levelPercent: number;
  readonly untilWallMs: number;
  /** Not to be sent sooner: on/off releases are spread, because devices that start together overload together. */
  readonly notBeforeWallMs: number;
}

/** Where a device stands among those of its request: 0 to 1, for ends and releases that are spread evenly. */
export interface Place {
  readonly share: number;
  readonly wallMs: number;
  /** The earlier of the request's end and receipt + duration. */
  readonly endWallMs: number;
}

/** The service request for `device`; null where the device is to be sent nothing. */
export function serviceRequestOf(message: Curtailment, device: Device, place: Place): ServiceRequest | null {
  if (device.phase !== null && !message.phases.includes(device.phase)) return null;
  const levelPercent = levelOf(message, device);
  if (device.kind === 'hcalcs') return switchRequest(message, device, place, levelPercent);
  return levelRequest(message, device, place, levelPercent);
}

/** The level of the device's phase where that is known, else the lowest of the phases. */
function levelOf(message: Curtailment, { phase }: Device): number {
  if (message.action === 'release') return 100;
  return (phase === null ? undefined : message.levelPercentByPhase?.[phase]) ?? message.levelPercent;
}

/** Ends are evenly spread in [end − endSpreadS, end]. */
function ownEndMs({ endSpreadS }: Curtailment, { share, endWallMs, wallMs }: Place): number {
  return Math.max(wallMs, endWallMs - endSpreadS * 1000 * (1 - share));
}

function levelRequest(message: Curtailment, device: Device, place: Place, levelPercent: number): ServiceRequest | null {
  const untilWallMs = ownEndMs(message, place);
  const fields = {
    auxiliaryControllerN: device.controller,
    StartDateTime: isoTime(place.wallMs),
    EndDateTime: isoTime(untilWallMs),
    CommandedStateLevel: levelPercent,
  };
  const common = { deviceId: device.deviceId, fields, levelPercent, untilWallMs, notBeforeWallMs: place.wallMs };
  if (device.kind === 'apc') {
    // A limit that nobody set needs no release.
    if (levelPercent === 100 && presentLevel(device, place.wallMs) === 100) return null;
    return { srv: '7.16', name: 'Limit APC Level', ...common };
  }
  // A state, not a limit: only where it cannot raise what the device is doing. What it is set to ends by itself.
  if (levelPercent > presentLevel(device, place.wallMs) || levelPercent === 100) return null;
  return { srv: '7.13', name: 'Set Auxiliary Controller State', ...common };
}

function switchRequest(
  message: Curtailment,
  device: Device,
  place: Place,
  levelPercent: number,
): ServiceRequest | null {
  const { binary, endSpreadS } = message;
  const off = presentLevel(device, place.wallMs) === 0;
  const common = { deviceId: device.deviceId, notBeforeWallMs: place.wallMs };
  // A release is one whatever stands in `binary`.
  if (message.action !== 'release' && levelPercent <= binary.atOrBelowPercent) {
    if (binary.action === 'skip') return null;
    // `signal` is the same service request: the charger hangs on the switch by its input instead of by its supply.
    const minutes = Math.floor((ownEndMs(message, place) - place.wallMs) / 60_000);
    if (minutes < 1) return null;
    const untilWallMs = place.wallMs + minutes * 60_000;
    const fields = { index: device.controller, Duration: minutes };
    return { srv: '7.6', name: 'Deactivate Auxiliary Load', ...common, fields, levelPercent: 0, untilWallMs };
  }
  if (!off) return null;
  return {
    srv: '7.8',
    name: 'Reset Auxiliary Load',
    ...common,
    fields: { index: device.controller },
    levelPercent: 100,
    untilWallMs: 0,
    notBeforeWallMs: place.wallMs + place.share * endSpreadS * 1000,
  };
}

/** What the device is permitted at `wallMs`: its last level, until that has ended by itself. */
export function presentLevel({ levelPercent, untilWallMs }: Device, wallMs: number): number {
  return wallMs < untilWallMs ? levelPercent : 100;
}
